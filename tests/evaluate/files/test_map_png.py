from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from wsl.errors import DataError
from wsl.evaluate.files.map_png import find_map_files, read_map
from wsl.types import ClassSet

CLASSES = ClassSet(("cat", "1", "a/b"))


def write(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(values).save(path)
    return path


def test_eight_and_sixteen_bits(tmp_path: Path) -> None:
    small = np.array([[0, 51, 255]], np.uint8)
    large = np.array([[0, 13107, 65535]], np.uint16)
    for values in (small, large):
        scores = read_map(write(tmp_path / "map.png", values))
        assert scores.dtype == np.float32
        np.testing.assert_array_equal(scores, np.array([[0, 0.2, 1]], np.float32))


def test_one_file_for_each_class(tmp_path: Path) -> None:
    write(tmp_path / "x" / "img" / "cat.png", np.full((2, 3), 255, np.uint8))
    write(tmp_path / "x" / "img_1.png", np.zeros((2, 3), np.uint8))  # a class of that name, not class id 1
    write(tmp_path / "x" / "img" / "3.png", np.full((2, 3), 51, np.uint8))
    write(tmp_path / "other.png", np.zeros((1, 1), np.uint8))
    maps = find_map_files(tmp_path, ["x/img", "y"], CLASSES)
    assert list(maps.files) == ["x/img"]
    assert (maps.missing, maps.extra) == (("y",), ("other",))
    scores, class_ids = maps.read("x/img")
    assert class_ids == (1, 2, 3)
    assert scores.shape == (3, 2, 3)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores[:, 0, 0], np.array([1, 0, 0.2], np.float32))


def test_the_class_of_single_maps_is_given(tmp_path: Path) -> None:
    write(tmp_path / "img.png", np.full((1, 2), 255, np.uint8))
    with pytest.raises(DataError, match=r"img\.png: which class is this map of\? Call it img/<class>\.png"):
        find_map_files(tmp_path, ["img"], CLASSES)
    scores, class_ids = find_map_files(tmp_path, ["img"], CLASSES, "cat").read("img")
    assert (class_ids, scores.tolist()) == ((1,), [[[1.0, 1.0]]])
    with pytest.raises(DataError, match=r"unknown class 'cta'\. Did you mean: cat"):
        find_map_files(tmp_path, ["img"], CLASSES, "cta")
    write(tmp_path / "img" / "cat.png", np.zeros((1, 2), np.uint8))
    with pytest.raises(DataError, match="are both of class id 1"):
        find_map_files(tmp_path, ["img"], CLASSES, "cat")


def test_a_file_called_as_an_image_is_a_map_of_no_other(tmp_path: Path) -> None:
    for name, value in (("a", 51), ("a_1", 255)):
        write(tmp_path / f"{name}.png", np.full((1, 2), value, np.uint8))
    one = ClassSet(("cat",))
    maps = find_map_files(tmp_path, ["a", "a_1", "a_1_1"], one, "cat")
    assert {name: files[1].name for name, files in maps.files.items()} == {"a": "a.png", "a_1": "a_1.png"}
    assert maps.missing == ("a_1_1",)
    (tmp_path / "a.png").unlink()
    assert find_map_files(tmp_path, ["a", "a_1"], one, "cat").missing == ("a",)
    assert list(find_map_files(tmp_path, ["a"], one, "cat").files) == ["a"]
    with pytest.raises(DataError, match=r"a_1\.png: which class is this map of"):
        find_map_files(tmp_path, ["a", "a_1"], ClassSet(("cat", "dog")))


def test_no_file_is_a_map_of_two_images(tmp_path: Path) -> None:
    write(tmp_path / "a_b_c.png", np.zeros((1, 2), np.uint8))
    with pytest.raises(DataError, match=r"a_b_c\.png: could be a map of 'a' and of 'a_b'"):
        find_map_files(tmp_path, ["a", "a_b"], ClassSet(("c", "b_c")))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected score maps \(\*\.png\), but there is none"):
        find_map_files(tmp_path, ["img"], CLASSES)
    with pytest.raises(DataError, match="no such folder"):
        find_map_files(tmp_path / "nowhere", ["img"], CLASSES)
    write(tmp_path / "img" / "cat.png", np.zeros((1, 2), np.uint8))
    write(tmp_path / "img" / "1.png", np.zeros((2, 1), np.uint8))
    with pytest.raises(DataError, match=r"1\.png: expected the size of cat\.png, \(1, 2\)"):
        find_map_files(tmp_path, ["img"], CLASSES).read("img")
    write(tmp_path / "img" / "ca.png", np.zeros((1, 2), np.uint8))
    with pytest.raises(DataError, match=r"ca\.png: 'ca' is no class\. Did you mean: cat"):
        find_map_files(tmp_path, ["img"], CLASSES)
    with pytest.raises(DataError, match="expected a grey image of 8 or 16 bits, but got mode RGB"):
        read_map(write(tmp_path / "rgb.png", np.zeros((1, 2, 3), np.uint8)))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=r"broken\.png"):
        read_map(tmp_path / "broken.png")
