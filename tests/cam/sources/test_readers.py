"""Each format: what its reader makes of a file with known values, and what it refuses."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from wsl.cam.preset import PRESETS
from wsl.cam.pyramid import MapPyramid
from wsl.cam.sources.formats import FORMATS, get_format, guess_format
from wsl.cam.sources.maps import ClassMaps, MapRequest, StoredMaps
from wsl.cam.store import write_pyramid
from wsl.config import CHOICES
from wsl.errors import ConfigError, DataError
from wsl.types import ClassSet

CLASSES = ClassSet(("fish", "kite", "leaf_2"))
SIZE = (4, 6)
REQUEST = MapRequest("a/img_1", SIZE, CLASSES, (1, 3))
ALL = MapRequest("a/img_1", SIZE, CLASSES)
MAPS = np.random.default_rng(0).random((2, *SIZE)).astype(np.float32)  # of classes 1 and 3


def save(folder: Path, content: Any) -> Path:
    path = folder / "a" / "img_1.npy"
    path.parent.mkdir(exist_ok=True)
    np.save(path, content)
    return path


def read(folder: Path, name: str, request: MapRequest = REQUEST) -> ClassMaps | StoredMaps:
    files = get_format(name).find(folder, request)
    assert files
    return get_format(name).read(files, request)


# What the named project's script writes for MAPS.
PICKLED: dict[str, dict[Any, Any]] = {
    "irn": {"keys": torch.tensor([0, 2]), "cam": torch.rand(2, 1, 2), "high_res": MAPS},
    "puzzle_cam": {"keys": np.array([0, 1, 3]), "cam": torch.rand(2, 1, 2), "hr_cam": MAPS},
    "clip_es": {"keys": np.array([0, 2]), "attn_highres": MAPS.astype(np.float16)},
    "psa": {0: MAPS[0], 2: MAPS[1]},
    "psa_crf": {0: 1 - MAPS.sum(0) / 2, 1: MAPS[0] / 2, 3: MAPS[1] / 2},
}


@pytest.mark.parametrize("name", PICKLED)
def test_pickled_formats_give_the_maps_of_their_classes(name: str, tmp_path: Path) -> None:
    path = save(tmp_path, PICKLED[name])
    maps = read(tmp_path, name)
    assert isinstance(maps, ClassMaps)
    assert maps.class_ids == (1, 3)
    assert maps.scores.dtype == np.float32
    np.testing.assert_allclose(maps.scores * (2 if name == "psa_crf" else 1), MAPS, atol=5e-4)
    assert guess_format(path)[0] == name


@pytest.mark.parametrize("name", PICKLED)
def test_pickled_maps_of_another_data_set_or_size_are_refused(name: str, tmp_path: Path) -> None:
    save(tmp_path, PICKLED[name])
    first = 1 if name in ("puzzle_cam", "psa_crf") else 0
    few = MapRequest("a/img_1", SIZE, ClassSet(("fish", "kite")), (1,))
    with pytest.raises(
        DataError, match=rf"img_1.npy: expected class keys in {first}\.\.{first + 1} .* got {first + 2};"
    ):
        read(tmp_path, name, few)
    with pytest.raises(DataError, match=r"expected maps as large as the image, 6x4 .*, but got 4x6"):
        read(tmp_path, name, MapRequest("a/img_1", (6, 4), CLASSES, (1, 3)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"keys": np.array([0, 2]), "cam": MAPS}, "expected 'keys' and 'high_res', but got"),
        ({"keys": np.array([0.0, 2.0]), "high_res": MAPS}, "whole numbers"),
        ({"keys": np.array([0, 0]), "high_res": MAPS}, "each once"),
        ({"keys": np.array([0]), "high_res": MAPS}, r"expected \(1, h, w\)"),
        ({"keys": np.array([0, -1]), "high_res": MAPS}, "got -1"),
        ({"keys": np.array([0, 2]), "high_res": MAPS.astype(int)}, "floating"),
        ({"keys": np.array([0, 2]), "high_res": MAPS * np.nan}, "finite"),
        ({"keys": np.array([0, 2]), "high_res": MAPS.astype(float) * 1e300}, "finite"),
        ({"keys": np.array([0, 2]), "high_res": "text"}, "floating"),
    ],
)
def test_bad_dictionaries_are_refused(content: Any, message: str, tmp_path: Path) -> None:
    save(tmp_path, content)
    with pytest.raises(DataError, match=message):
        read(tmp_path, "irn")


def test_a_dictionary_without_classes_has_no_maps(tmp_path: Path) -> None:
    for name, content in (
        ("irn", {"keys": np.zeros(0, int), "high_res": np.zeros((0, *SIZE), np.float32)}),
        ("psa", {}),
    ):
        save(tmp_path, content)
        assert read(tmp_path, name).class_ids == ()


@pytest.mark.parametrize(
    ("rows", "request_", "class_ids"),
    [
        (2, REQUEST, (1, 3)),
        (3, REQUEST, (1, 2, 3)),
        (3, ALL, (1, 2, 3)),
        (0, MapRequest("a/img_1", SIZE, CLASSES, ()), ()),
    ],
)
def test_arrays_are_of_the_image_s_classes_or_of_all(
    rows: int, request_: MapRequest, class_ids: tuple[int, ...], tmp_path: Path
) -> None:
    array = np.asfortranarray(np.random.default_rng(1).random((rows, 2, 3)))
    path = save(tmp_path, array)
    maps = read(tmp_path, "npy", request_)
    assert isinstance(maps, ClassMaps)
    assert maps.class_ids == class_ids
    np.testing.assert_array_equal(maps.scores, array.astype(np.float32))
    assert guess_format(path) == ("npy", "img_1.npy is an array")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 2, 2)), r"expected \(2, h, w\) for the classes of the image or \(3, h, w\) for all"),
        (np.zeros((2, 2)), r"but got \(2, 2\)"),
        (np.zeros((2, 2, 2), int), "floating"),
        (np.full((2, 2, 2), np.inf), "finite"),
        (np.zeros((2, 0, 2)), r"\(2, 0, 2\)"),
        (np.array({"a": 1}, object), "pickled objects"),
        (np.zeros(2, [("a", "f4")]), "floating"),
    ],
)
def test_bad_arrays_are_refused(array: Any, message: str, tmp_path: Path) -> None:
    save(tmp_path, array)
    with pytest.raises(DataError, match=message):
        read(tmp_path, "npy")


def test_damaged_arrays_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path, np.zeros((2, 4, 6)))
    content = path.read_bytes()
    for changed, message in (
        (content[:-8], "expected 384 bytes"),
        (content + b"x", "expected 384 bytes"),
        (content[:40], "expected an .npy file"),
        (b"", "expected a map file of 1 to"),
        (content.replace(b"(2, 4, 6)", b"(2,-4,-6)"), "floating numbers"),
        (content.replace(b"(2, 4, 6)", b"(2, 4, 9\x00"), "expected an .npy file"),
        (b"\x93NUMPY\x03" + content[7:], "expected .npy version"),
    ):
        path.write_bytes(changed)
        with pytest.raises(DataError, match=message):
            read(tmp_path, "npy")


def test_own_map_files_keep_their_levels_and_preset(tmp_path: Path) -> None:
    levels = (MAPS * 7, MAPS[:, ::2, ::2] * 3)
    pyramid = MapPyramid("a/img_1", levels, (1, 3), SIZE, np.array([0.1, 0.2, 0.3], np.float32), (1, 2, 3))
    write_pyramid(tmp_path / "a" / "img_1.npz", pyramid, PRESETS["seam"])
    stored = read(tmp_path, "npz")
    assert isinstance(stored, StoredMaps)
    assert stored.preset == PRESETS["seam"]
    assert stored.pyramid.known_ids == (1, 2, 3)
    for found, level in zip(stored.pyramid.levels, levels, strict=True):
        np.testing.assert_array_equal(found, level)
    with pytest.raises(DataError, match=r"expected maps of an image of \(6, 4\)"):
        read(tmp_path, "npz", MapRequest("a/img_1", (6, 4), CLASSES, (1, 3)))
    with pytest.raises(DataError, match=r"expected class keys in 1\.\.2"):
        read(tmp_path, "npz", MapRequest("a/img_1", SIZE, ClassSet(("x", "y")), (1,)))


def test_probabilities_of_other_classes_are_left_out(tmp_path: Path) -> None:
    pyramid = MapPyramid("a/img_1", (MAPS[:1],), (1,), SIZE, np.array([0.1, 0.2], np.float32), (1, 9))
    write_pyramid(tmp_path / "a" / "img_1.npz", pyramid, PRESETS["irn"])
    stored = read(tmp_path, "npz")
    assert isinstance(stored, StoredMaps)
    assert stored.pyramid.known_ids == ()


@pytest.mark.parametrize("size", [None, SIZE])
def test_foreign_npz_files_hold_scores_and_class_ids(size: tuple[int, int] | None, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    extra = {} if size is None else {"size": np.array(size)}
    np.savez(tmp_path / "a" / "img_1.npz", scores=MAPS[::-1] * 5, class_ids=np.array([3, 1]), **extra)
    maps = read(tmp_path, "npz")
    assert isinstance(maps, ClassMaps)
    assert maps.class_ids == (3, 1)
    np.testing.assert_allclose(maps.scores, MAPS[::-1] * 5, rtol=1e-6)
    if size is not None:
        with pytest.raises(DataError, match="size: expected the image's"):
            read(tmp_path, "npz", MapRequest("a/img_1", (6, 4), CLASSES, (1, 3)))


def test_archives_that_unpack_to_too_much_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    np.savez_compressed(tmp_path / "a" / "img_1.npz", scores=np.zeros((2, 99, 99)), class_ids=np.array([1, 3]))
    monkeypatch.setattr("wsl.cam.sources.limits.MAX_BYTES", 100_000)
    with pytest.raises(DataError, match="expected arrays of at most 100000 bytes, but they unpack to 15"):
        read(tmp_path, "npz")
    (tmp_path / "a" / "img_1.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"expected an \.npz file"):
        read(tmp_path, "npz")


def test_own_map_files_with_a_broken_preset_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a" / "img_1.npz"
    write_pyramid(path, MapPyramid("a/img_1", (MAPS,), (1, 3), SIZE), PRESETS["irn"])
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    np.save(tmp_path / "preset.npy", np.array('{"relu": "never"}'))
    members["preset.npy"] = (tmp_path / "preset.npy").read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(DataError, match="expected the fields of a preset"):
        read(tmp_path, "npz")


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("names", [("img_1/fish", "img_1/3"), ("img_1_1", "img_1_leaf_2"), ("img_1/1", "img_1_leaf_2")])
def test_pngs_are_named_by_class_or_id(names: tuple[str, str], depth: Any, tmp_path: Path) -> None:
    full = np.iinfo(depth).max
    for name, values in zip(names, MAPS, strict=True):
        path = tmp_path / "a" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(values * full).astype(depth)).save(path)
    maps = read(tmp_path, "png")
    assert isinstance(maps, ClassMaps)
    assert maps.class_ids == (1, 3)
    np.testing.assert_allclose(maps.scores, MAPS, atol=0.6 / full)
    assert read(tmp_path, "png", ALL).class_ids == (1, 3)


def test_a_class_name_goes_before_an_id(tmp_path: Path) -> None:
    Image.new("L", (2, 2), 255).save(tmp_path / "x_2.png")
    assert read(tmp_path, "png", MapRequest("x", (2, 2), ClassSet(("2", "b")))).class_ids == (1,)


def test_class_names_lead_to_no_other_folder(tmp_path: Path) -> None:
    (tmp_path / "maps" / "x").mkdir(parents=True)
    Image.new("L", (2, 2)).save(tmp_path / "maps" / "secret.png")
    assert get_format("png").find(tmp_path / "maps", MapRequest("x", (2, 2), ClassSet(("../secret", "..")))) == ()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ((Image.new("RGB", (6, 4)), Image.new("L", (6, 4))), "grey image of 8 or 16 bits, but got mode RGB"),
        ((Image.new("L", (6, 4)), Image.new("L", (3, 2))), r"expected the size of img_1_1.png, \(4, 6\)"),
    ],
)
def test_bad_pngs_are_refused(images: tuple[Image.Image, Image.Image], message: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for class_id, image in zip((1, 3), images, strict=True):
        image.save(tmp_path / "a" / f"img_1_{class_id}.png")
    with pytest.raises(DataError, match=message):
        read(tmp_path, "png")


def test_formats_that_cannot_be_known_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path, {"keys": np.array([0]), "refined": MAPS})
    with pytest.raises(ConfigError, match=r"expected the keys of one of the formats .* but got \['keys', 'refined'\]"):
        guess_format(path)
    with pytest.raises(ConfigError, match="Did you mean: clip_es"):
        get_format("clip-es")


def test_a_first_class_of_the_data_set_is_not_taken_for_the_background(tmp_path: Path) -> None:
    assert guess_format(save(tmp_path, {0: MAPS[0], 1: MAPS[1]}))[0] == "psa"
    assert guess_format(save(tmp_path, {0: np.ones(SIZE, np.float32)}))[0] == "psa"


def test_every_configured_format_has_a_reader() -> None:
    assert set(CHOICES["cam.source_format"]) - {"auto"} <= set(FORMATS)
