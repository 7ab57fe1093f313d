"""Map files: exact round trips; everything else is refused by the file's name."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsl.cam.preset import PRESETS
from wsl.cam.pyramid import MapPyramid, fuse, resize_map
from wsl.cam.store import read_pyramid, read_score_maps, write_pyramid
from wsl.errors import DataError


def make_pyramid(classes: int = 2) -> MapPyramid:
    rng = np.random.default_rng(classes)
    levels = tuple(rng.normal(size=(classes, *size)).astype(np.float32) for size in ((3, 4), (2, 2)))
    probabilities = np.array([0.25, 0.5, 0.125], np.float32)
    return MapPyramid("a/b", levels, tuple(range(2, 2 + classes)), (21, 34), probabilities, (1, 2, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some maps" / "ä.npz"


def written(path: Path, **changes: Any) -> Path:
    """A file of ours with some arrays replaced, or left out where the change is None."""
    write_pyramid(path, make_pyramid(), PRESETS["irn"])
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays = {name: array for name, array in (arrays | changes).items() if array is not None}
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("classes", [0, 1, 3])
@pytest.mark.parametrize("name", ["irn", "aligned"])
def test_round_trips_are_exact(path: Path, classes: int, name: str) -> None:
    pyramid = make_pyramid(classes)
    write_pyramid(path, pyramid, PRESETS[name])
    found = read_pyramid(path, "a/b")
    assert (found.image_id, found.class_ids, found.size) == ("a/b", pyramid.class_ids, (21, 34))
    assert found.known_ids == (1, 2, 3)
    np.testing.assert_array_equal(found.probabilities, pyramid.probabilities)
    for level, expected in zip(found.levels, pyramid.levels, strict=True):
        assert level.dtype == np.float32
        np.testing.assert_array_equal(level, expected)
    maps, direct = read_score_maps(path, "a/b"), fuse(pyramid, PRESETS[name])
    np.testing.assert_array_equal(maps.scores, direct.scores)
    np.testing.assert_array_equal(maps.class_scores, direct.class_scores)


def test_the_same_maps_give_the_same_bytes(path: Path) -> None:
    write_pyramid(path, make_pyramid(), PRESETS["irn"])
    first = path.read_bytes()
    write_pyramid(path, make_pyramid(), PRESETS["irn"])
    assert path.read_bytes() == first
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_maps_that_are_not_finite_are_not_written(path: Path) -> None:
    pyramid = make_pyramid()
    pyramid.levels[1][0, 0, 0] = np.inf
    with pytest.raises(DataError, match=r"ä.npz, maps to be written: expected finite scores, but 1 are NaN or inf"):
        write_pyramid(path, pyramid, PRESETS["irn"])
    assert not path.exists()


def test_foreign_maps_may_be_small_or_full_size(path: Path) -> None:
    path.parent.mkdir()
    scores = np.random.default_rng(0).random((2, 4, 5))  # float64, compressed: as other people write them
    np.savez_compressed(path, scores=scores, class_ids=np.array([7, 3], np.uint8), size=np.array([20, 30]))
    found = read_score_maps(path, "x")
    assert (found.class_ids, found.size, found.scores.shape) == ((7, 3), (20, 30), (2, 20, 30))
    np.testing.assert_array_equal(found.scores[1], resize_map(scores[1].astype(np.float32), (20, 30), False))
    assert np.isnan(found.class_scores).all()
    np.savez(path, scores=scores.astype(np.float16), class_ids=np.array([7, 3]))
    found = read_score_maps(path, "x")
    assert found.size == (4, 5)
    np.testing.assert_array_equal(found.scores, scores.astype(np.float16).astype(np.float32))


def test_foreign_masks_and_images_without_classes(path: Path) -> None:
    path.parent.mkdir()
    np.savez(path, scores=np.eye(3, dtype=bool)[None], class_ids=np.array([1]))
    np.testing.assert_array_equal(read_score_maps(path, "x").scores, np.eye(3, dtype=np.float32)[None])
    np.savez(path, scores=np.zeros((0, 1, 1), np.float32), class_ids=np.zeros(0), size=np.array([6, 8]))
    assert read_score_maps(path, "x").scores.shape == (0, 6, 8)


def check_refused(path: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_score_maps(path, "x")
    assert str(path) in str(caught.value)


def test_a_missing_file_says_which_stage_makes_it(path: Path) -> None:
    check_refused(path, "no score maps for image 'x'; run the cams stage first")


class Explosive:
    """Unpickling it would create a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


def test_pickles_are_refused_and_never_run(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    trap = np.array([Explosive(tmp_path / "ran")], dtype=object)
    np.savez(path, scores=trap, class_ids=np.array([1]))
    check_refused(path, "without pickle, but Object arrays cannot be loaded")
    path.write_bytes(trap.dumps())
    check_refused(path, "expected an .npz of arrays without pickle")
    assert not (tmp_path / "ran").exists()


def test_files_that_are_no_archive(path: Path) -> None:
    path.parent.mkdir()
    for content in (b"", b"PK\x03\x04", b"GIF89a"):
        path.write_bytes(content)
        check_refused(path, "expected an .npz of arrays without pickle, but File is not a zip file")
    with path.open("wb") as stream:
        np.save(stream, np.zeros((1, 2, 2), np.float32))
    check_refused(path, "expected an .npz")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scores", b"no array")
    check_refused(path, r"expected an .npz of arrays, but \['scores'\] are none")
    folder = path.with_name("folder.npz")
    folder.mkdir()
    check_refused(folder, "expected an .npz of arrays without pickle, but .*directory")


@settings(max_examples=40, deadline=None)
@given(
    compressed=st.booleans(),
    kept=st.floats(0, 1) | st.just(1.0),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
)
def test_damaged_files_never_give_anything_but_a_data_error(
    compressed: bool, kept: float, damage: list[tuple[float, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    buffer = io.BytesIO()
    with np.load(written(path)) as archive:
        (np.savez_compressed if compressed else np.savez)(buffer, **dict(archive))
    content = bytearray(buffer.getvalue())
    for where, value in damage:
        content[int(where * len(content))] = value
    path.write_bytes(content[: int(kept * len(content))])
    try:
        found = read_score_maps(path, "x")
    except DataError as error:
        message = str(error)
        assert message.startswith(str(path))
    else:
        assert found.scores.shape == (2, 21, 34)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(path: Path, share: float) -> None:
    content = written(path).read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    check_refused(path, "expected an .npz of arrays without pickle")


NAN = np.full((2, 3, 3), np.nan, np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": np.int64(2)}, "expected map format 1, but got 2; make the maps again"),
        ({"format": np.array([1, 1])}, r"expected map format 1, but got \[1 1\]"),
        ({"level_0": NAN}, "level_0: expected finite scores, but 18 are NaN or inf"),
        ({"level_1": np.zeros((3, 4, 4), np.float32)}, r"level_1: expected \(2, h, w\) for 2 class ids, but got \(3"),
        ({"level_0": np.zeros((2, 0, 4), np.float32)}, r"level_0: expected \(2, h, w\)"),
        (
            {"level_0": np.zeros((2, 4), np.float32)},
            r"level_0: expected floating \(K, h, w\), but got float32 \(2, 4\)",
        ),
        ({"level_0": None, "level_1": None}, r"the map file lacks \['level_0'\]; make the maps again"),
        ({"level_0": None}, r"lacks \['level_0'\]"),
        ({"preset": None, "size": None}, r"lacks \['preset', 'size'\]"),
        ({"preset": np.array("{")}, "expected the fields of a preset"),
        ({"preset": np.array('{"colour": 1}')}, "expected the fields of a preset, but .*colour"),
        ({"class_ids": np.array([1, 1])}, r"class_ids: expected \(K,\) different class ids in 1..254, but got int64"),
        ({"class_ids": np.array([0, 1])}, "class_ids: expected"),
        ({"class_ids": np.array([1.0, 2.0])}, "class_ids: .* but got float64"),
        ({"known_ids": np.array([[1, 2, 3]])}, "known_ids: expected"),
        ({"known_ids": np.array([1, 2])}, r"expected 2 probabilities, one per known class, but got shape \(3,\)"),
        ({"size": np.array([0, 5])}, r"size: expected \(height, width\) of at most 250000000 pixels, but got int64"),
        ({"size": np.array([10**6, 10**6])}, "size: expected"),
        ({"size": np.array([4, 4, 3])}, "size: expected"),
    ],
)
def test_own_files_with_something_wrong(path: Path, changes: dict[str, Any], message: str) -> None:
    check_refused(written(path, **changes), message)


GOOD = {"scores": np.full((2, 3, 3), 0.5, np.float32), "class_ids": np.array([1, 2])}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"scores": None, "cam": GOOD["scores"]},
            r"expected arrays 'scores' \(K, h, w\) and 'class_ids' \(K,\), but got",
        ),
        ({"scores": NAN}, "scores: expected finite scores, but 18 are NaN or inf"),
        ({"scores": GOOD["scores"][0]}, r"scores: expected floating \(K, h, w\), but got float32 \(3, 3\)"),
        ({"scores": np.array([[["a"]]])}, "scores: expected floating"),
        ({"scores": GOOD["scores"] * 1j}, "scores: expected floating"),
        ({"class_ids": np.array([1])}, r"scores: expected \(1, h, w\) for 1 class ids, but got \(2, 3, 3\)"),
        ({"class_ids": np.array([0, 1])}, "class_ids: expected"),
        ({"class_ids": np.array(["cat", "dog"])}, "class_ids: expected"),
        ({"size": np.array([-3, 3])}, "size: expected"),
    ],
)
def test_foreign_files_with_something_wrong(path: Path, changes: dict[str, Any], message: str) -> None:
    path.parent.mkdir()
    np.savez(path, **{name: array for name, array in (GOOD | changes).items() if array is not None})
    check_refused(path, message)


def test_flip_agreement_is_stored_where_known_and_changes_nothing_else(path: Path) -> None:
    write_pyramid(path, make_pyramid(), PRESETS["irn"])
    assert read_pyramid(path, "a/b").flip_agreement.shape == (0, 0)
    with np.load(path) as archive:
        before = {name: archive[name].tobytes() for name in archive.files}
    agreement = np.array([[0.5, np.nan], [1.0, 0.0]], np.float32)
    write_pyramid(path, replace(make_pyramid(), flip_agreement=agreement), PRESETS["irn"])
    np.testing.assert_array_equal(read_pyramid(path, "a/b").flip_agreement, agreement)
    with np.load(path) as archive:
        after = {name: archive[name].tobytes() for name in archive.files}
    assert after == before | {"flip_agreement": agreement.tobytes()}


@pytest.mark.parametrize(
    "values", [np.zeros((1, 2), np.float32), np.zeros((2, 2)), np.full((2, 2), 1.5, np.float32), np.array("x")]
)
def test_flip_agreement_that_does_not_fit_is_refused(path: Path, values: np.ndarray) -> None:
    check_refused(written(path, flip_agreement=values), r"flip_agreement: expected float32 \(2, 2\) in \[0, 1\] or NaN")
