"""`wsl evaluate` on good and bad files: every metric by name, one sentence for every mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.drawn import draw_voc
from wsl.cli.main import main
from wsl.data.label_maps import read_label_map, write_label_map
from wsl.data.reader import open_dataset
from wsl.evaluate.metrics import METRICS
from wsl.evaluate.metrics.metric import KINDS
from wsl.evaluate.result import read_about, read_scores


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with masks and boxes, and predictions of every kind."""
    root = tmp_path_factory.mktemp("evaluate")
    data = open_dataset(draw_voc(root / "data", train=4, val=6))
    for sample in data.samples:
        truth = read_label_map(sample.mask.path)
        write_label_map(root / "label_maps" / f"{sample.image_id}.png", np.roll(truth, 2, axis=1))
        ids = np.unique(truth[(truth > 0) & (truth < 255)])
        scores = np.array([np.roll(truth == value, 2, axis=0) * 0.8 for value in ids]).reshape(-1, *truth.shape)
        (root / "score_maps").mkdir(exist_ok=True)
        np.savez(root / "score_maps" / f"{sample.image_id}.npz", scores=scores.astype(np.float32), class_ids=ids)
        boxes = [{"xyxy": list(box.xyxy), "class_id": box.class_id, "score": 0.5} for box in sample.boxes]
        write_json(root / "boxes" / f"{sample.image_id}.json", {"size": list(truth.shape), "boxes": boxes})
    return root


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("kind", KINDS)
def test_every_metric_runs_from_the_command_line(kind: str, place: Path, tmp_path: Path) -> None:
    words = ["--metrics", "all", "--quiet", "--output", str(tmp_path), "--intervals", "50", "--workers", "1"]
    assert main(["evaluate", str(place / kind), str(place / "data"), *words]) == 0
    names = " ".join(score.name for score in read_scores(tmp_path))
    for name in [name for name in METRICS.names() if METRICS.get(name).kind == kind]:
        assert main(["evaluate", str(place / kind), str(place / "data"), *words[2:], "--metrics", name]) == 0
        assert all(score.name in names for score in read_scores(tmp_path))
    about = read_about(tmp_path)
    assert about["kind"] == kind
    assert about["classes"] == ["background", "fish", "kite", "leaf"]
    assert {"wsl", "numpy", "pycocotools"} <= about["versions"].keys()


def test_list_of_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--list-metrics"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in METRICS.names())


def test_intervals_and_provenance_are_shown(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--split", "val", "--threshold", "oracle", "--threshold", "0.3", "--threshold", "label_free:otsu"]
    assert main(["evaluate", str(place / "score_maps"), str(place / "data"), *words, "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "interval: 95 %, 1000 samples, bootstrap over images" in shown
    assert "(fixed, 0.000 below the oracle)" in shown
    assert "(label_free otsu, 0.000 below the oracle)" in shown


def test_wsolevaluation_metadata(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metadata, maps = tmp_path / "metadata", tmp_path / "maps"
    metadata.mkdir()
    maps.mkdir()
    lines: dict[str, list[str]] = {"image_ids": [], "class_labels": [], "image_sizes": [], "localization": []}
    for index in range(4):
        name = f"a/{index}.jpeg"
        lines["image_ids"].append(name)
        lines["class_labels"].append(f"{name},{index % 2}")
        lines["image_sizes"].append(f"{name},300,200")
        lines["localization"].append(f"{name},30,20,150,120")
        score_map = np.zeros((224, 224))
        score_map[22:134, 22:112] = 1
        (maps / "a").mkdir(exist_ok=True)
        np.save(maps / f"{name}.npy", score_map)
    for name, rows in lines.items():
        (metadata / f"{name}.txt").write_text("\n".join(rows))
    (tmp_path / "ranked.csv").write_text("\n".join(f"a/{index}.jpeg,0,1,2,3,4" for index in range(4)))
    words = ["--rankings", str(tmp_path / "ranked.csv"), "--quiet", "--output", str(tmp_path / "out")]
    assert main(["evaluate", str(maps), str(metadata), *words]) == 0
    values = {score.name: score.value for score in read_scores(tmp_path / "out")}
    assert values["MaxBoxAccV2"] == 1.0
    assert values["Top-1 Loc@0.5"] == 0.5
    assert values["Top-5 Loc@0.5"] == 1.0
    np.save(maps / "a" / "0.jpeg.npy", np.zeros((256, 256)))
    assert main(["evaluate", str(maps), str(metadata), *words]) == 3
    assert "the map is 256x256" in capsys.readouterr().err


# --- bad input: exit code 3 and one sentence that names the file ----------------------------------------------------


def first_map(root: Path) -> Path:
    return sorted((root / "label_maps").glob("*.png"))[0]


def colour(root: Path) -> str:
    path = first_map(root)
    Image.fromarray(np.full((48, 48, 3), 33, np.uint8)).save(path)
    return f"{path.name}: a colour picture, and its colour (33, 33, 33) is not one of VOC's palette"


def size(root: Path) -> str:
    write_label_map(first_map(root), np.zeros((48, 47), np.uint8))
    return "prediction is 48x47 but ground truth is 48x48"


def unknown_value(root: Path) -> str:
    write_label_map(first_map(root), np.full((48, 48), 77, np.uint8))
    return "expected values 0..3 and 255, but found 77"


def damaged(root: Path) -> str:
    first_map(root).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    return first_map(root).name


def missing(root: Path) -> str:
    first_map(root).unlink()
    return "no prediction for 1 of"


def empty(root: Path) -> str:
    for path in (root / "label_maps").iterdir():
        path.unlink()
    return "found nothing to score"


BAD_LABEL_MAPS: list[Callable[[Path], str]] = [colour, size, unknown_value, damaged, missing, empty]


@pytest.mark.parametrize("spoil", BAD_LABEL_MAPS, ids=lambda spoil: spoil.__name__)
def test_bad_label_maps(
    spoil: Callable[[Path], str], place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    shutil.copytree(place / "label_maps", tmp_path / "label_maps")
    expected = spoil(tmp_path)
    words = ["--quiet", "--workers", "1", "--output", str(tmp_path / "out")]
    assert main(["evaluate", str(tmp_path / "label_maps"), str(place / "data"), *words]) == 3
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_palette_and_voc_colours_are_the_same_label_map(place: Path, tmp_path: Path) -> None:
    for path in (place / "label_maps").glob("*.png"):
        (tmp_path / "rgb").mkdir(exist_ok=True)
        Image.open(path).convert("RGB").save(tmp_path / "rgb" / path.name)
    for folder in (place / "label_maps", tmp_path / "rgb"):
        words = ["--quiet", "--workers", "1", "--output", str(tmp_path / folder.name)]
        assert main(["evaluate", str(folder), str(place / "data"), *words]) == 0
    assert read_scores(tmp_path / "label_maps") == read_scores(tmp_path / "rgb")


COCO = {
    "images": [{"id": 7, "file_name": "a.png", "height": 30, "width": 40}],
    "categories": [{"id": 17, "name": "cat"}],
    "annotations": [{"id": 0, "image_id": 7, "category_id": 17, "bbox": [2, 3, 10, 12], "area": 120, "iscrowd": 0}],
}
RESULT = {"image_id": 7, "category_id": 17, "bbox": [2, 3, 10, 12], "score": 0.9}


def test_annotation_id_0_is_found(tmp_path: Path) -> None:
    write_json(tmp_path / "gt.json", COCO)
    write_json(tmp_path / "pred.json", [RESULT])
    words = ["--quiet", "--output", str(tmp_path / "out")]
    assert main(["evaluate", str(tmp_path / "pred.json"), str(tmp_path / "gt.json"), *words]) == 0
    assert read_scores(tmp_path / "out")[0].value == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 8}, "image_id 8"),
        ({"category_id": 3}, "category_id 3"),
        ({"score": "high"}, "'score'"),
        ({"bbox": [1, 2, 3]}, "'bbox'"),
    ],
)
def test_bad_results(change: dict, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "gt.json", COCO)
    write_json(tmp_path / "pred.json", [{**RESULT, **change}])
    assert main(["evaluate", str(tmp_path / "pred.json"), str(tmp_path / "gt.json"), "--quiet"]) == 3
    error = capsys.readouterr().err
    assert message in error
    assert "pred.json" in error


def test_duplicate_image_ids_in_the_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "gt.json", {**COCO, "images": COCO["images"] * 2})
    write_json(tmp_path / "pred.json", [RESULT])
    assert main(["evaluate", str(tmp_path / "pred.json"), str(tmp_path / "gt.json"), "--quiet"]) == 3
    assert "image ids appear more than once" in capsys.readouterr().err


def test_options_that_make_no_sense(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--metrics", "mioo"], "Did you mean: miou"),
        (["--absent", "none"], "absent"),
        (["--intervals", "-1"], "intervals"),
        (["--values", "1,x"], "--values"),
        (["--background", "maybe"], "background"),
    ):
        assert main(["evaluate", str(place / "label_maps"), str(place / "data"), "--quiet", *words]) == 2
        assert message in capsys.readouterr().err
    maps = [str(place / "score_maps"), str(place / "data"), "--quiet"]
    assert main(["evaluate", *maps, "--threshold", "orakel"]) == 2
    assert "expected a number or one of oracle" in capsys.readouterr().err
    assert main(["evaluate", *maps, "--protocol", "wsol"]) == 2
    assert "Unknown box protocol 'wsol'" in capsys.readouterr().err
