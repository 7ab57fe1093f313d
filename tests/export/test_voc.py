from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsl.data.ground_truth import read_ground_truth
from wsl.data.label_maps import read_label_map
from wsl.data.reader import open_dataset
from wsl.errors import DataError
from wsl.export import EXPORTERS
from wsl.export.record import ExportRecord
from wsl.export.voc import export_voc, to_voc_corners
from wsl.types import Box, ClassSet

CLASSES = ClassSet(("cat", "a <b> & c"))


def make_records(count: int = 3) -> list[ExportRecord]:
    generator = np.random.default_rng(0)
    records = []
    for number in range(count):
        label_map = generator.choice(np.array([0, 1, 2, 255], np.uint8), (5 + number, 7))
        boxes = (Box((1, 2, 4, 5), 1 + number % 2), Box((0, 0, 7, 5), 1, difficult=True))
        name = f"x/img{number}"
        records.append(ExportRecord(name, f"{name}.png", label_map.shape, label_map, boxes))
    return records


def write_images(root: Path, records: list[ExportRecord]) -> Path:
    for record in records:
        (root / record.file_name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((*record.size, 3), np.uint8)).save(root / record.file_name)
    return root


def test_the_whole_folder_is_read_again(tmp_path: Path) -> None:
    records = make_records()
    export_voc(records, tmp_path / "voc", CLASSES, write_images(tmp_path / "images", records))
    dataset = open_dataset(tmp_path / "voc", format="voc")
    assert dataset.classes.names == CLASSES.names
    assert dataset.problems == ()
    for record, sample in zip(records, dataset.samples, strict=True):
        assert sample.image_id == record.image_id.replace("/", "__")
        assert [(box.xyxy, box.class_id, box.difficult) for box in sample.boxes] == [
            (box.xyxy, box.class_id, box.difficult) for box in record.boxes
        ]
        np.testing.assert_array_equal(read_ground_truth(sample, record.size, 2), record.label_map)


def test_files_and_lists(tmp_path: Path) -> None:
    records = [*make_records(2), ExportRecord("bare", "bare.jpg", (4, 4))]
    assert EXPORTERS.get("voc")(records, tmp_path, CLASSES) == tmp_path
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert files == [
        "Annotations/bare.xml",
        "Annotations/x__img0.xml",
        "Annotations/x__img1.xml",
        "ImageSets/Main/all.txt",
        "ImageSets/Segmentation/all.txt",
        "SegmentationClass/x__img0.png",
        "SegmentationClass/x__img1.png",
        "classes.txt",
        "labelmap.txt",
    ]
    assert (tmp_path / "ImageSets/Main/all.txt").read_text() == "x__img0\nx__img1\nbare\n"
    assert (tmp_path / "ImageSets/Segmentation/all.txt").read_text() == "x__img0\nx__img1\n"
    assert (tmp_path / "labelmap.txt").read_text().splitlines() == [
        "# label:color_rgb:parts:actions",
        "background:0,0,0::",
        "cat:128,0,0::",
        "a <b> & c:0,128,0::",
    ]
    np.testing.assert_array_equal(read_label_map(tmp_path / "SegmentationClass/x__img0.png"), records[0].label_map)


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        export_voc(make_records(), tmp_path / name, CLASSES)
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_names_that_fall_together_are_refused(tmp_path: Path) -> None:
    records = [ExportRecord(name, "a.jpg", (1, 1), np.zeros((1, 1), np.uint8)) for name in ("x/a", "x__a")]
    with pytest.raises(DataError, match="'x/a' and 'x__a' would both be called 'x__a'"):
        export_voc(records, tmp_path, CLASSES)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"img0\.png: the image cannot be copied"):
        export_voc(make_records(1), tmp_path, CLASSES, tmp_path)


def test_whole_corners_go_there_and_back() -> None:
    for x1, y1, width, height in itertools.product((0, 3), (0, 2), (1, 5), (1, 4)):
        xmin, ymin, xmax, ymax = to_voc_corners(Box((x1, y1, x1 + width, y1 + height), 1))
        assert (xmin - 1, ymin - 1, xmax, ymax) == (x1, y1, x1 + width, y1 + height)
    assert to_voc_corners(Box((0.4, 0.5, 2.5, 2.4), 1)) == (1, 2, 3, 2)
    assert to_voc_corners(Box((3.1, 3.1, 3.2, 3.2), 1)) == (4, 4, 4, 4)
