from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wsl.data.label_maps import write_label_map
from wsl.errors import ConfigError, DataError
from wsl.evaluate.files.found_classes import find_classes
from wsl.evaluate.files.sources import (
    list_files_by_id,
    open_truth,
    pair_files,
    read_size,
    read_truth,
    require_masks,
)
from wsl.progress import Silent


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_ids_are_paths_below_the_folder_without_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "b/x.v2.png", "a.PNG", "notes.txt", ".writing-1.png", "b/c/d.png")
    assert list(list_files_by_id(tmp_path, (".png",))) == ["a", "b/c/d", "b/x.v2"]


def test_two_files_of_one_image_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.npy", "a.npz")
    with pytest.raises(DataError, match="both of image 'a'"):
        list_files_by_id(tmp_path, (".npy", ".npz"))


def test_missing_and_extra_files_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "c/d.png", "x.png")
    skipping = pair_files(tmp_path, ["c/d", "a", "b"], missing="skip")
    assert skipping.pairs == (("a", tmp_path / "a.png"), ("c/d", tmp_path / "c/d.png"))
    assert (skipping.missing, skipping.extra) == (("b",), ("x",))
    assert skipping.counts == {"images without prediction": 1, "predictions without ground truth": 1}
    filled = pair_files(tmp_path, ["c/d", "a", "b"], missing="background")
    assert filled.pairs[1] == ("b", None)


def test_missing_files_are_an_error_by_default(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    wanted = ["a", *(f"b{index}" for index in range(9))]
    with pytest.raises(DataError, match=r"no prediction for 9 of 10 images \(b0, b1, b2, b3, b4, \.\.\.\)"):
        pair_files(tmp_path, wanted)
    with pytest.raises(ConfigError, match="missing: expected one of"):
        pair_files(tmp_path, wanted, missing="ignore")
    # nothing in common is never a score
    with pytest.raises(DataError, match="the first file there is of 'a'"):
        pair_files(tmp_path, ["z"], missing="skip")
    with pytest.raises(DataError, match="no such folder"):
        pair_files(tmp_path / "none", wanted)


def test_a_folder_of_label_maps(tmp_path: Path) -> None:
    write_label_map(tmp_path / "a.png", np.array([[0, 3, 255]], np.uint8))
    write_label_map(tmp_path / "b" / "c.png", np.array([[5], [0]], np.uint8))
    truth = open_truth(tmp_path)
    assert truth.image_ids == ("a", "b/c")
    assert read_size(truth.sources["b/c"]) == (2, 1)
    assert read_truth(truth.sources["a"], 5).tolist() == [[0, 3, 255]]
    assert require_masks(truth) == truth
    names = find_classes(truth, 1, Silent())
    assert names.names == ("class 1", "class 2", "class 3", "class 4", "class 5")
    write_label_map(tmp_path / "p.png", np.array([[7, 255]], np.uint8))
    assert len(find_classes(truth, 1, Silent(), {"a": tmp_path / "p.png", "b/c": None})) == 7
    with pytest.raises(DataError, match="there is none"):
        open_truth(touch(tmp_path / "empty", "x.txt"))
