from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from wsl.data.folder import guess_folder, read_folder
from wsl.errors import ConfigError, DataError
from wsl.types import MaskSource


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(np.zeros((2, 2), np.uint8)).save(root / name)
    return root


@pytest.mark.parametrize("prefix", ["", "images/"])
def test_both_layouts(tmp_path: Path, prefix: str) -> None:
    names = ("crack/b.png", "crack/a.jpg", "hole/a.png", "free/x.png")
    write(tmp_path, *(prefix + name for name in names))
    (tmp_path / prefix / "crack" / "notes.txt").touch()
    (tmp_path / prefix / "no_images").mkdir()
    dataset = read_folder(tmp_path)
    assert dataset.classes.names == ("crack", "hole")
    assert dataset.classes.background_name == "free"
    assert "'free' taken as background only" in dataset.why
    assert [(sample.image_id, sample.class_ids) for sample in dataset.samples] == [
        *(("crack/a", (1,)), ("crack/b", (1,)), ("free/x", ()), ("hole/a", (2,))),
    ]
    assert dataset.samples[0].image_path == tmp_path / prefix / "crack" / "a.jpg"
    assert dataset.single_label
    assert not dataset.has_masks
    assert not dataset.has_boxes
    assert all(sample.mask is None for sample in dataset.samples)
    assert guess_folder(tmp_path) == "folder: 3 class folders with images found"


def test_masks(tmp_path: Path) -> None:
    write(tmp_path, "images/crack/a.jpg", "images/crack/b.jpg", "images/free/x.jpg", "masks/crack/a.png")
    dataset = read_folder(tmp_path)
    assert dataset.has_masks
    masks = [sample.mask for sample in dataset.samples]
    assert masks == [MaskSource("binary", tmp_path / "masks/crack/a.png", 1), None, MaskSource("background")]


def test_masks_beside_class_folders_are_no_class(tmp_path: Path) -> None:
    write(tmp_path, "crack/a.jpg", "masks/crack/a.png", "masks/stray.png")
    assert read_folder(tmp_path).classes.names == ("crack",)


def test_declared_splits(tmp_path: Path) -> None:
    write(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/1.png", "masks/val/a/1.png")
    val = read_folder(tmp_path, split="val")
    assert val.classes.names == ("a", "b")
    assert [sample.image_id for sample in val.samples] == ["val/a/1"]
    assert val.samples[0].mask == MaskSource("binary", tmp_path / "masks/val/a/1.png", 1)
    assert dict(val.split_counts) == {"train": 2, "val": 1}
    assert len(read_folder(tmp_path).samples) == 3
    with pytest.raises(DataError, match="no split 'test'; there are: train, val, all"):
        read_folder(tmp_path, split="test")


def test_drawn_split(tmp_path: Path) -> None:
    write(tmp_path, *(f"{label}/{number}.png" for label in "ab" for number in range(10)))
    val = read_folder(tmp_path, split="val", val_fraction=0.3)
    assert [sample.class_ids for sample in val.samples] == [(1,)] * 3 + [(2,)] * 3
    assert len(read_folder(tmp_path, split="train", val_fraction=0.3).samples) == 14


def test_background_named_forbidden_and_ambiguous(tmp_path: Path) -> None:
    write(tmp_path, "a/1.png", "good/1.png", "ok/1.png")
    with pytest.raises(ConfigError, match="good, ok may all be the background"):
        read_folder(tmp_path)
    assert read_folder(tmp_path, background_class="").classes.names == ("a", "good", "ok")
    dataset = read_folder(tmp_path, background_class="a")
    assert dataset.classes.names == ("good", "ok")
    assert dataset.samples[0].class_ids == ()
    with pytest.raises(ConfigError, match="the data set only has: a, good, ok"):
        read_folder(tmp_path, background_class="bad")


def test_class_list(tmp_path: Path) -> None:
    write(tmp_path, "a/1.png", "b/1.png", "c/1.png")
    dataset = read_folder(tmp_path, classes=("c", "a"))
    assert [(sample.image_id, sample.class_ids) for sample in dataset.samples] == [("a/1", (2,)), ("c/1", (1,))]
    assert [str(problem) for problem in dataset.problems] == [
        f"{tmp_path / 'b'}: 'b' is not in the class list; its images are left out."
    ]


def test_same_stem_twice(tmp_path: Path) -> None:
    dataset = read_folder(write(tmp_path, "a/1.png", "a/1.jpg"))
    assert [sample.image_path.name for sample in dataset.samples] == ["1.jpg"]
    assert [problem.path.name for problem in dataset.problems] == ["1.png"]


def test_nothing_usable(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected folders with images"):
        read_folder(tmp_path)
    assert guess_folder(tmp_path) is None
    assert guess_folder(tmp_path / "none") is None
    write(tmp_path, "good/1.png")
    with pytest.raises(DataError, match="no foreground class"):
        read_folder(tmp_path)
