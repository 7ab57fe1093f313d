from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from wsl.data.check import SizeSummary, check_dataset
from wsl.data.label_maps import write_label_map
from wsl.errors import DataError
from wsl.progress import Silent


class Counting(Silent):
    def __init__(self) -> None:
        self.steps = 0

    def step(self, count: int = 1, note: str = "") -> None:
        self.steps += count


def write_png(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(values).save(path)


def folder_data(root: Path) -> Path:
    write_png(root / "images/crack/a.png", np.zeros((4, 6, 3), np.uint8))
    write_png(root / "images/crack/b.png", np.zeros((8, 5), np.uint8))
    write_png(root / "images/free/c.png", np.zeros((5, 7), np.uint8))
    write_png(root / "masks/crack/a.png", np.full((4, 6), 255, np.uint8))
    write_png(root / "masks/crack/b.png", np.full((8, 5), 255, np.uint8))
    return root


def test_clean_data(tmp_path: Path) -> None:
    progress = Counting()
    report = check_dataset(folder_data(tmp_path), progress=progress)
    assert progress.steps == report.images == 3
    assert (report.format, report.class_names) == ("folder", ("crack",))
    assert report.class_counts == {"crack": 2}
    assert (report.background_only, report.unlabelled) == (1, 0)
    assert report.modes == {"L": 2, "RGB": 1}
    assert report.sizes == SizeSummary(heights=(4, 5, 8), widths=(5, 6, 7))
    assert report.problems == report.notes == ()


def test_everything_wrong_is_told_once(tmp_path: Path) -> None:
    root = folder_data(tmp_path)
    write_png(root / "masks/crack/a.png", np.full((4, 7), 255, np.uint8))
    write_png(root / "masks/crack/b.png", np.zeros((8, 5), np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, (50, 50), dtype=np.uint8)
    write_png(root / "images/crack/cut.png", noise)
    path = root / "images/crack/cut.png"
    path.write_bytes(path.read_bytes()[:1500])
    write_png(root / "images/crack/d.png", np.zeros((4, 6), np.uint8))
    (root / "masks/crack/d.png").write_bytes(b"")
    write_png(root / "images/crack/e.png", np.zeros((4, 6), np.uint8))
    report = check_dataset(root)
    found = {problem.path.relative_to(root).as_posix(): problem.what for problem in report.problems}
    assert sorted(found) == ["images/crack/cut.png", "masks/crack/a.png", "masks/crack/d.png"]
    assert "damaged or cut short" in found["images/crack/cut.png"]
    assert "the mask is 4x7 but the image is 4x6" in found["masks/crack/a.png"]
    assert found["masks/crack/d.png"].startswith("the image file is empty")
    notes = [(note.path.relative_to(root).as_posix(), note.what) for note in report.notes]
    assert notes == [
        ("masks/crack/b.png", "the labels name crack, which the mask does not hold."),
        ("images/crack/e.png", "has no mask, though others have one."),
    ]
    assert report.images == 5
    assert report.class_counts == {"crack": 4}


def voc_data(root: Path, box: tuple[int, int, int, int], values: list[int], size: tuple[int, int] = (4, 6)) -> Path:
    write_png(root / "JPEGImages/a.png", np.zeros((4, 6), np.uint8))
    write_label_map(root / "SegmentationClass/a.png", np.resize(np.array(values, np.uint8), (4, 6)))
    (root / "classes.txt").write_text("x\ny\n")
    (root / "Annotations").mkdir()
    sides = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    frame = f"<size><height>{size[0]}</height><width>{size[1]}</width></size>"
    (root / "Annotations/a.xml").write_text(
        f"<annotation>{frame}<object><name>x</name><bndbox>{sides}</bndbox></object></annotation>"
    )
    return root


def test_boxes_that_leave_the_image(tmp_path: Path) -> None:
    assert check_dataset(voc_data(tmp_path / "in", (1, 1, 6, 4), [0, 1])).problems == ()
    for number, box in enumerate([(0, 1, 6, 4), (1, 0, 6, 4), (1, 1, 7, 4), (1, 1, 6, 5)]):
        (problem,) = check_dataset(voc_data(tmp_path / str(number), box, [0, 1])).problems
        assert "leaves the image of 4x6" in problem.what


def test_labels_and_masks_that_disagree(tmp_path: Path) -> None:
    report = check_dataset(voc_data(tmp_path / "other", (1, 1, 6, 4), [0, 2]))
    assert [note.what for note in report.notes] == [
        "no image has the class y.",
        "the mask holds y, which the labels do not.",
        "the labels name x, which the mask does not hold.",
    ]
    # What is missing may lie under the 255.
    report = check_dataset(voc_data(tmp_path / "unsure", (1, 1, 6, 4), [0, 255]))
    assert [note.what for note in report.notes] == ["no image has the class y."]
    report = check_dataset(voc_data(tmp_path / "unknown", (1, 1, 6, 4), [0, 7]))
    assert "label values [7] are outside 0..2" in report.problems[0].what


def test_size_that_differs_behind_the_probes(tmp_path: Path) -> None:
    root = voc_data(tmp_path, (1, 1, 6, 4), [0, 1])
    annotation = (root / "Annotations/a.xml").read_text()
    for number in range(70):
        write_png(root / f"JPEGImages/b{number:02}.png", np.zeros((4, 6), np.uint8))
        (root / f"Annotations/b{number:02}.xml").write_text(annotation)
    # Probes are every second image, so b00 (the second) is not among them.
    write_png(root / "JPEGImages/b00.png", np.zeros((9, 9), np.uint8))
    report = check_dataset(root)
    assert [(problem.path.name, problem.what) for problem in report.problems] == [
        ("b00.png", "it is 9x9, but its annotation is for 4x6 (height x width).")
    ]


def test_same_report_twice_and_bad_root(tmp_path: Path) -> None:
    root = folder_data(tmp_path)
    assert check_dataset(root) == check_dataset(root)
    with pytest.raises(DataError, match="no such folder"):
        check_dataset(root / "none")


def test_real_data_is_clean(real_data: Path) -> None:
    report = check_dataset(real_data / "data" / "magnetic_tile", split="val")
    assert report.images == 101
    assert report.problems == ()
    report = check_dataset(real_data / "data" / "coco_mini", split="val")
    assert report.problems == ()
