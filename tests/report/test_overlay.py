from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from wsl.errors import ConfigError, DataError
from wsl.report.colours import class_colour, class_colour_table, colour_scores, list_colormaps
from wsl.report.overlay import (
    draw_boxes,
    draw_class_scores,
    draw_label_map,
    draw_scores,
    resize_for_display,
    write_png,
)
from wsl.types import Box, ClassSet

CLASSES = ClassSet(("cat", "dog"))


def grey_image(height: int = 64, width: int = 64, value: int = 100) -> np.ndarray:
    """A plain image."""
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((64, 32), 256, (256, 128)), ((1000, 2000), 256, (128, 256)), ((1, 1), 16, (16, 16)), ((1, 400), 100, (1, 100))],
)
def test_resize_for_display(size: tuple[int, int], side: int, expected: tuple[int, int]) -> None:
    assert resize_for_display(grey_image(*size), side).shape == (*expected, 3)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(16, 70))
def test_all_drawings_have_the_display_size(height: int, width: int, side: int) -> None:
    image = grey_image(height, width)
    label_map = np.zeros((height, width), np.uint8)
    label_map[: height // 2] = 255
    box = Box((0.0, 0.0, float(width), float(height)), 1)
    shape = resize_for_display(image, side).shape
    scores = np.full((2, 3, 4), 0.5, np.float32)
    assert draw_scores(image, scores[0], side=side).shape == shape
    assert draw_class_scores(image, scores, (1, 2), side).shape == shape
    assert draw_label_map(image, label_map, side=side).shape == shape
    assert draw_boxes(image, [box], CLASSES, side).shape == shape


def test_scores_blend_is_the_weighted_mean() -> None:
    score_map = np.full((8, 8), 0.7)
    colour = colour_scores(score_map, "turbo")[0, 0].astype(float)
    drawn = draw_scores(grey_image(), score_map, alpha=0.25, side=64)
    assert np.array_equal(drawn[0, 0], np.rint(100 * 0.75 + colour * 0.25))
    assert (drawn == drawn[0, 0]).all()


def test_alpha_0_and_1_are_the_image_and_the_colour_map() -> None:
    score_map = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    assert np.array_equal(draw_scores(grey_image(), score_map, alpha=0, side=64), grey_image())
    assert np.array_equal(draw_scores(grey_image(), score_map, alpha=1, side=64), colour_scores(score_map, "turbo"))


def test_turbo_runs_from_blue_through_green_to_red() -> None:
    low, middle, high = colour_scores(np.array([[0.15, 0.5, 0.9]]), "turbo")[0].astype(int)
    assert low.argmax() == 2
    assert middle.argmax() == 1
    assert high.argmax() == 0
    assert list_colormaps() == ["inferno", "jet", "turbo", "viridis"]


def test_scores_outside_0_1_are_cut_off() -> None:
    assert np.array_equal(colour_scores(np.array([[-3.0, 9.0]]), "jet"), colour_scores(np.array([[0.0, 1.0]]), "jet"))


def test_class_scores_show_the_best_class_as_strong_as_its_score() -> None:
    scores = np.zeros((2, 1, 2), np.float32)
    scores[0, 0, 0], scores[1, 0, 0] = 1.0, 0.4  # left: first class wins; right: nothing
    drawn = draw_class_scores(grey_image(32, 64), scores, (1, 2), side=64)
    dimmed = 55
    assert np.array_equal(drawn[16, 2], np.rint(dimmed * 0.1 + np.array(class_colour(1)) * 0.9))
    assert (drawn[16, -1] == dimmed).all()


def test_class_scores_of_no_class_show_the_dimmed_image() -> None:
    drawn = draw_class_scores(grey_image(32, 32), np.zeros((0, 4, 4), np.float32), (), side=32)
    assert (drawn == 55).all()


def test_label_map_tints_classes_and_leaves_background() -> None:
    label_map = np.zeros((64, 64), np.uint8)
    label_map[:, 32:] = 2
    drawn = draw_label_map(grey_image(), label_map, alpha=0.5, side=64)
    assert (drawn[:, :30] == 100).all()
    assert np.array_equal(drawn[20, 50], np.rint(50 + np.array(class_colour(2)) / 2))
    assert np.array_equal(drawn[20, 32], class_colour(2))  # the outline, in full colour
    plain = draw_label_map(grey_image(), label_map, alpha=0.5, outline=False, side=64)
    assert np.array_equal(plain[20, 32], drawn[20, 50])


def test_ignore_is_hatched_in_grey_without_an_outline() -> None:
    label_map = np.full((64, 64), 255, np.uint8)
    label_map[:, :32] = 0
    drawn = draw_label_map(grey_image(), label_map, side=64)[:, 32:]
    assert (drawn[..., 0] == drawn[..., 1]).all()
    assert sorted(np.unique(drawn)) == [95, 172]  # halves of 100 + 90 and of 100 + 245


def test_box_edges_lie_on_the_half_open_box() -> None:
    drawn = draw_boxes(grey_image(64, 64), [Box((16, 24, 48, 56), 1)], CLASSES, side=64)
    coloured = (drawn == class_colour(1)).all(2)
    rows, columns = np.nonzero(coloured[24:])  # below the tag
    assert 45 <= columns.max() <= 48
    assert 30 <= rows.max() <= 32
    assert (drawn[30:50, 22:42] == 100).all()


def test_boxes_beyond_the_image_are_drawn_at_its_edge() -> None:
    drawn = draw_boxes(grey_image(), [Box((-50, -50, 500, 500), 2, 0.5)], CLASSES, side=64)
    assert np.array_equal(drawn[-1, 40], class_colour(2))


def test_a_score_below_1_changes_the_tag() -> None:
    box = (10.0, 30.0, 50.0, 60.0)
    certain, likely = (draw_boxes(grey_image(), [Box(box, 1, score)], CLASSES, side=128) for score in (1.0, 0.83))
    assert not np.array_equal(certain, likely)


def test_inputs_are_not_changed() -> None:
    image, label_map = grey_image(), np.ones((64, 64), np.uint8)
    draw_label_map(image, label_map, side=64)
    draw_boxes(image, [Box((0, 0, 20, 20), 1)], CLASSES, side=64)
    assert (image == 100).all()
    assert (label_map == 1).all()


def test_class_colours_differ_from_each_other_and_from_the_ground() -> None:
    table = class_colour_table().astype(int)
    assert np.array_equal(table[[0, 255]], [[0, 0, 0], [128, 128, 128]])
    assert len({tuple(colour) for colour in table}) > 200  # far beyond what a reader can tell apart
    first = table[1:21]
    apart = np.abs(first[:, None] - first[None]).sum(2) + 1000 * np.eye(20, dtype=int)
    assert apart.min() >= 80


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_scores(grey_image()[..., 0], np.zeros((2, 2))), r"expected uint8 \(H, W, 3\)"),
        (lambda: draw_scores(grey_image(), np.full((2, 2), np.nan)), r"score map: expected finite scores"),
        (lambda: draw_scores(grey_image(), np.zeros((2, 2)), alpha=2), r"alpha: expected a value in \[0, 1\]"),
        (lambda: draw_label_map(grey_image(), np.zeros((5, 5), np.uint8)), r"image is 64x64 but label map is 5x5"),
        (lambda: draw_label_map(grey_image(), np.zeros((64, 64))), r"label map: expected uint8 \(H, W\)"),
        (lambda: draw_boxes(grey_image(), [Box((0, 0, 1, 1), 7)], CLASSES), r"class id in 0\.\.2, but got 7"),
        (lambda: resize_for_display(grey_image(), 3), r"side: expected at least 16 pixels"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()  # type: ignore[operator]


def test_unknown_colormap() -> None:
    with pytest.raises(ConfigError, match=r"Unknown colormap 'tubro'\. Did you mean: turbo\?"):
        draw_scores(grey_image(), np.zeros((2, 2)), colormap="tubro")


def test_write_png_round_trip_and_same_bytes(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    write_png(tmp_path / "a" / "x.png", image)
    write_png(tmp_path / "y.png", image)
    assert np.array_equal(np.array(PillowImage.open(tmp_path / "y.png")), image)
    assert (tmp_path / "a" / "x.png").read_bytes() == (tmp_path / "y.png").read_bytes()
    with pytest.raises(DataError, match=r"z\.png: expected uint8"):
        write_png(tmp_path / "z.png", image.astype(float))
