from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from wsl.errors import ConfigError, DataError
from wsl.evaluate.wsol.maps import find_maps, pick_class, read_wsol_map


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_maps_are_found_with_and_without_the_images_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.jpeg.npy", "c.npz", "d.png", "e.png.NPY", "z.npy", "note.txt", ".f.npy")
    files = find_maps(tmp_path, ["a/b.jpeg", "c.jpg", "d.png", "e.png", "f"], "constant")
    assert files.paths == {
        "a/b.jpeg": tmp_path / "a/b.jpeg.npy",
        "c.jpg": tmp_path / "c.npz",
        "d.png": tmp_path / "d.png",
        "e.png": tmp_path / "e.png.NPY",
        "f": None,
    }
    assert (files.missing, files.extra) == (("f",), ("z.npy",))
    assert files.counts == {"images without map": 1, "maps without image": 1}
    assert "f" not in find_maps(tmp_path, ["c.jpg", "f"], "skip").paths
    with pytest.raises(DataError, match=r"no map for 1 of 2 images, the first is 'f'; the first map there is a/b"):
        find_maps(tmp_path, ["c.jpg", "f"])
    with pytest.raises(DataError, match="no map for 1 of 1 images"):
        find_maps(tmp_path, ["f"], "constant")  # nothing to score at all


@pytest.mark.parametrize(
    ("names", "ids", "message"),
    [
        (["a.jpg.npy", "a.npy"], ["a.jpg"], r"a\.jpg\.npy and a\.npy are both of 'a\.jpg'"),
        (["a.npy", "a.npz"], ["a"], r"a\.npy and a\.npz are both of 'a'"),
        (["a.npy"], ["a.jpg", "a.png"], r"a\.npy: could be the map of 'a\.jpg' and of 'a\.png'"),
        (["a.npy", "a.NPY"], ["a"], "differ only in the case"),
    ],
)
def test_what_is_ambiguous_is_refused(tmp_path: Path, names: list[str], ids: list[str], message: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        find_maps(tmp_path, ids)


def test_a_missing_folder_or_policy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        find_maps(tmp_path / "none", ["a"])
    with pytest.raises(ConfigError, match="missing: expected one of error, skip, constant"):
        find_maps(tmp_path, ["a"], "zero")


def test_every_form_of_file(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 4, 5))
    bytes_ = (values[0] * 255).astype(np.uint8)
    np.save(tmp_path / "one.npy", values[0])
    np.save(tmp_path / "many.npy", values.astype(np.float32))
    np.save(tmp_path / "bytes.npy", bytes_)
    np.savez(tmp_path / "named.npz", scores=values.astype(np.float32), class_ids=np.array([7, 2, 9]))
    cv2.imwrite(str(tmp_path / "grey.png"), bytes_)
    maps, class_ids = read_wsol_map(tmp_path / "one.npy")
    assert (maps.dtype, class_ids) == (np.float64, ())
    np.testing.assert_array_equal(maps, values[:1])
    np.testing.assert_array_equal(read_wsol_map(tmp_path / "many.npy")[0], values.astype(np.float32))
    np.testing.assert_array_equal(read_wsol_map(tmp_path / "bytes.npy")[0][0], bytes_ / 255)
    np.testing.assert_array_equal(read_wsol_map(tmp_path / "grey.png")[0][0], bytes_ / 255)
    maps, class_ids = read_wsol_map(tmp_path / "named.npz")
    np.testing.assert_array_equal(pick_class(maps, class_ids, 2, tmp_path), values[1].astype(np.float32))


def test_the_map_of_a_class(tmp_path: Path) -> None:
    maps = np.arange(3.0)[:, None, None]
    assert pick_class(maps, (), 3, tmp_path) == 2
    assert pick_class(maps[:1], (), 3, tmp_path) == 0  # a single map is of the image's class
    with pytest.raises(DataError, match="class 4 is beyond its 3 maps"):
        pick_class(maps, (), 4, tmp_path)
    with pytest.raises(DataError, match=r"expected a map of class 4, but it holds those of \[1, 2, 5\]"):
        pick_class(maps, (5, 1, 2), 4, tmp_path)


def test_files_that_are_no_maps(tmp_path: Path) -> None:
    np.save(tmp_path / "int.npy", np.zeros((2, 2), np.int64))
    np.save(tmp_path / "flat.npy", np.zeros(4))
    (tmp_path / "bad.npy").write_bytes(pickle.dumps([1]))
    cv2.imwrite(str(tmp_path / "colour.png"), np.zeros((2, 2, 3), np.uint8))
    for name, message in [
        ("int.npy", r"expected maps \(h, w\) or \(K, h, w\), floating or uint8, but got int64"),
        ("flat.npy", r"float64 \(4,\)"),
        ("bad.npy", "without Python objects"),
        ("colour.png", "8-bit grey PNG as score map, but its mode is RGB"),
    ]:
        with pytest.raises(DataError, match=message):
            read_wsol_map(tmp_path / name)
