from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from wsl.data.reader import guess_format, list_formats, open_dataset
from wsl.errors import ConfigError, DataError


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(np.zeros((2, 2), np.uint8)).save(root / name)
    return root


def test_formats_in_order_of_guessing() -> None:
    assert list_formats() == ["voc", "coco", "table", "folder", "images"]


def test_guess_and_open(tmp_path: Path) -> None:
    write(tmp_path, "a/1.png", "b/1.png")
    assert guess_format(tmp_path) == ("folder", "folder: 2 class folders with images found")
    dataset = open_dataset(tmp_path)
    assert (dataset.format, len(dataset), dataset.root) == ("folder", 2, tmp_path)
    assert dataset.why.startswith("folder: 2 class folders")
    (tmp_path / "list.csv").write_text("path,labels\na/1.png,x\n")
    assert guess_format(tmp_path)[0] == "table"
    assert open_dataset(tmp_path, format="folder").format == "folder"


def test_nothing_known(tmp_path: Path) -> None:
    for root in (tmp_path / "none", str(tmp_path / "none")):
        with pytest.raises(DataError, match="no such folder or file"):
            open_dataset(root, format="voc")  # type: ignore[arg-type]
        with pytest.raises(DataError, match="no such folder or file"):
            open_dataset(root)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no known data set; expected VOC"):
        open_dataset(tmp_path)
    with pytest.raises(ConfigError, match=r"Unknown data format 'voz'\. Did you mean: voc"):
        open_dataset(tmp_path, format="voz")


def test_garbage_collection_is_on_again_even_after_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a/1.png")
    open_dataset(tmp_path)
    assert gc.isenabled()
    with pytest.raises(DataError):
        open_dataset(tmp_path, split="test")
    assert gc.isenabled()


def test_nothing_usable_tells_the_first_problem(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,labels\ngone.png,x\n")
    with pytest.raises(DataError, match=r"no usable image \(read as table\). First of 1 problems: .*gone\.png"):
        open_dataset(tmp_path)
    write(tmp_path, "a.png")
    (tmp_path / "list.csv").write_text("path,labels\na.png,x\n")
    with pytest.raises(DataError, match=r"no usable image in split 'val'"):
        open_dataset(tmp_path, split="val")


def test_real_magnetic_tile(real_data: Path) -> None:
    dataset = open_dataset(real_data / "data" / "magnetic_tile")
    assert (len(dataset), dataset.format, dataset.classes.background_name) == (505, "folder", "free")
    assert dataset.classes.names == ("blowhole", "break", "crack", "fray", "uneven")
    assert [sum(sample.class_ids == (k,) for sample in dataset.samples) for k in range(1, 6)] == [69, 51, 34, 19, 62]
    parts = [open_dataset(dataset.root, split=part) for part in ("train", "val")]
    assert [len(part) for part in parts] == [404, 101]


def test_real_neu_det(real_data: Path) -> None:
    root = real_data / "data" / "neu_det"
    dataset = open_dataset(root, split="val")
    assert (len(dataset), dataset.format, len(dataset.classes), dataset.problems) == (540, "voc", 6, ())
    # The annotations are for 200x200, the images are 416x416.
    assert "boxes of 540 images scaled" in dataset.why
    boxes = {sample.image_id: sample.boxes for sample in dataset.samples}["crazing_1"]
    assert boxes is not None
    assert boxes[0].xyxy == pytest.approx((2.08, 2.08, 401.44, 403.52))


def test_real_coco_mini(real_data: Path) -> None:
    dataset = open_dataset(real_data / "data" / "coco_mini")
    assert (len(dataset), dataset.format, len(dataset.classes), dataset.problems) == (100, "coco", 80, ())
    assert sum(len(sample.instances or ()) for sample in dataset.samples) == 746
    assert dataset.classes.name_of(1) == "person"
