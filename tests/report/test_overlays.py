from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import DataError
from wsl.report.colours import class_colour
from wsl.report.overlays import UNSURE_GREY, draw_sample_panel
from wsl.report.panel import GAP
from wsl.types import Box, ClassSet, ScoreMaps

CLASSES = ClassSet(("cat", "dog"))
IMAGE = np.full((32, 32, 3), 90, np.uint8)


def sample(**changes: object) -> np.ndarray:
    """A panel of everything with class 1, with some arguments replaced."""
    label_map = np.zeros((32, 32), np.uint8)
    label_map[8:24, 8:24] = 1
    arguments: dict[str, object] = {
        "score_maps": ScoreMaps("x", np.full((1, 4, 4), 0.5, np.float32), (1,), (32, 32)),
        "boxes": [Box((8, 8, 24, 24), 1, 0.9)],
        "seeds": label_map,
        "refined": label_map,
        "ground_truth": label_map,
    }
    return draw_sample_panel(IMAGE, **{**arguments, **changes}, classes=CLASSES, side=64)  # type: ignore[arg-type]


def has_colour(panel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    """Whether the legend, which is below everything else, shows a colour."""
    return bool((panel[-20:] == colour).all(2).any())


def test_six_columns_and_fewer_when_something_is_missing() -> None:
    def width(columns: int) -> int:
        return columns * 64 + (columns + 1) * GAP

    assert sample().shape[1] == width(6)
    assert sample(ground_truth=None).shape[1] == width(5)
    assert sample(ground_truth=None, boxes=None, score_maps=None, seeds=None, refined=None).shape[1] == width(1)


def test_legend_names_the_classes_that_occur_and_not_sure() -> None:
    panel = sample()
    assert has_colour(panel, class_colour(1))
    assert not has_colour(panel, class_colour(2))
    assert not has_colour(panel, UNSURE_GREY)
    assert has_colour(sample(seeds=np.full((32, 32), 255, np.uint8)), UNSURE_GREY)
    assert has_colour(sample(boxes=[Box((0, 0, 9, 9), 2)]), class_colour(2))


def test_an_image_without_classes_has_no_legend() -> None:
    nothing = np.zeros((32, 32), np.uint8)
    empty = ScoreMaps("x", np.zeros((0, 4, 4), np.float32), (), (32, 32))
    panel = sample(score_maps=empty, boxes=[], seeds=nothing, refined=nothing, ground_truth=nothing)
    assert len(panel) < len(sample())


def test_score_maps_of_another_size_are_refused() -> None:
    other = ScoreMaps("img7", np.zeros((1, 4, 4), np.float32), (1,), (30, 32))
    with pytest.raises(DataError, match=r"img7: the score maps belong to an image of 30x32, but the image is 32x32"):
        sample(score_maps=other)
