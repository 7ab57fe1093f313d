"""Names of files that do not collide, class numbers of map files, pictures in the image's own pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wsl.cam.preset import get_preset
from wsl.cam.pyramid import MapPyramid, fuse
from wsl.cam.store import read_score_maps
from wsl.data.images import read_image
from wsl.pipeline.explained_files import (
    ClassNumbers,
    Column,
    Drawing,
    make_file_name,
    name_classes,
    name_images,
    write_maps,
    write_pictures,
)
from wsl.report.heat import draw_heat, draw_heat_overlay

PRESET = get_preset("irn")
RAW = np.random.default_rng(0).random((2, 3, 4)).astype(np.float32)
IMAGE = np.random.default_rng(1).integers(0, 256, (40, 50, 3)).astype(np.uint8)
PYRAMID = MapPyramid("", (RAW,), (1, 2), (40, 50), np.array([0.7, 0.2], np.float32), (1, 2))
COLUMNS = [Column("cam", "cam", PYRAMID, PRESET, ("a", "b"))]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/cat.jpg", "b/dog.png"], ["cat", "dog"]),
        (["a/cat.jpg", "b/cat.jpg"], ["a-cat-jpg", "b-cat-jpg"]),
        (["a/cat.jpg", "a/cat.png"], ["cat-jpg", "cat-png"]),
        (["x/a/cat.jpg", "y/a/cat.jpg", "dog.jpg"], ["x-a-cat-jpg", "y-a-cat-jpg", "dog"]),
        (["a/Cat.jpg", "b/cat.jpg"], ["a-Cat-jpg", "b-cat-jpg"]),
        (["a/b.c.jpg"], ["b.c"]),
        (["a/" + "x" * 230 + ".jpg", "a/" + "ü" * 100 + ".jpg"], ["x" * 60, "ü" * 30]),
        ([], []),
    ],
)
def test_images_of_one_name_get_different_files(paths: list[str], names: list[str]) -> None:
    assert name_images([Path(path) for path in paths]) == names


def test_names_that_only_a_number_can_tell_apart() -> None:
    names = name_images([Path("a b/c.jpg"), Path("a_b/c.jpg")])
    assert len({name.lower() for name in names}) == 2


def test_long_names_that_begin_alike_are_told_apart() -> None:
    names = name_images([Path("a") / ("x" * 220 + end) for end in ("1.jpg", "2.jpg", "3.png")])
    assert len({name.lower() for name in names}) == 3
    assert max(len(name) for name in names) < 70


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("tiger cat", "tiger_cat"),
        ("a/b\\c:d", "a-b-c-d"),
        ("../x", "---x"),
        ("", "-"),
        ("é1", "é1"),
        ("x" * 99, "x" * 60),
        ("a" + "猫" * 99, "a" + "猫" * 19),
    ],
)
def test_names_of_classes_are_safe_as_files(text: str, name: str) -> None:
    assert make_file_name(text) == name


def test_classes_of_one_name_are_told_apart_by_their_number() -> None:
    assert name_classes(["crane", "tiger cat", "Crane"]) == ["crane-0", "tiger_cat", "Crane-2"]


def test_few_classes_keep_their_numbers() -> None:
    numbers = ClassNumbers(("cat", "dog", "background"), background=2)
    assert [numbers.number(output) for output in (1, 0, 2)] == [2, 1, None]
    assert numbers.list_names() == ["cat", "dog"]


def test_many_classes_are_numbered_as_they_occur() -> None:
    numbers = ClassNumbers((*(f"class {index}" for index in range(299)), "class 7"))
    assert [numbers.number(output) for output in (280, 7, 280, 299)] == [1, 2, 1, 3]
    assert numbers.list_names() == ["class 280", "class 7 7", "class 7 299"]
    found = [numbers.number(output) for output in range(300)]
    assert max(each for each in found if each is not None) == 254
    assert found.count(None) == 300 - 254


def test_pictures_have_the_image_s_size_and_the_map_s_colours(tmp_path: Path) -> None:
    rows = [("tabby", "tabby 0.7"), ("dog", "dog 0.2")]
    files = write_pictures(tmp_path, "img", IMAGE, COLUMNS, rows, Drawing("jet", 0.25, True))
    assert sorted(files) == sorted(path.name for path in tmp_path.iterdir())
    assert len(files) == 5
    assert "img.figure.png" in files
    scores = fuse(PYRAMID, PRESET).scores
    for row, name in enumerate(("tabby", "dog")):
        heat = read_image(tmp_path / f"img.{name}.cam.heat.png")
        assert np.array_equal(heat, draw_heat(scores[row], "jet"))
        overlay = read_image(tmp_path / f"img.{name}.cam.overlay.png")
        assert np.array_equal(overlay, draw_heat_overlay(IMAGE, scores[row], "jet", 0.25))


def test_figure_is_only_written_when_asked_for(tmp_path: Path) -> None:
    files = write_pictures(tmp_path, "img", IMAGE, COLUMNS, [("tabby", "tabby")], Drawing())
    assert files == ["img.tabby.cam.heat.png", "img.tabby.cam.overlay.png"]


def test_maps_can_be_read_as_score_maps(tmp_path: Path) -> None:
    numbers = {10: 3, 11: None}
    assert write_maps(tmp_path, "img", COLUMNS, (10, 11), numbers.get) == ["maps/cam/img.npz"]
    maps = read_score_maps(tmp_path / "maps" / "cam" / "img.npz", "img")
    assert maps.class_ids == (3,)
    assert maps.class_scores.tolist() == [np.float32(0.7)]
    assert np.array_equal(maps.scores[0], fuse(PYRAMID, PRESET).scores[0])
    assert write_maps(tmp_path, "none", COLUMNS, (11,), numbers.get) == []
