from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.localization.test_level_boxes import KINDS, make_image
from tests.oracles.evaluate_level_contours import contour_boxes
from wsl import compiled
from wsl.evaluate.localization.component_boxes import find_components
from wsl.evaluate.localization.largest_contour import choose_largest
from wsl.evaluate.localization.neighbourhoods import encode_neighbours


def find_largest_boxes(image: np.ndarray, switch: str) -> list[list[int]]:
    """The box of the largest contour at every level."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(compiled.SWITCH, switch)
        framed = np.pad(image, 1)
        components = find_components(framed, encode_neighbours(image), diagonal=True)
        return components.boxes[choose_largest(framed, components, int(image.max()))].tolist()


def make_grid(seed: int) -> np.ndarray:
    """Small pieces, many of which have the same area or none."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 4, generator.integers(2, 25, 2)).astype(np.uint8)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from((*KINDS, "grid")), switch=st.sampled_from("01"))
def test_agrees_with_opencv_at_every_level(seed: int, kind: str, switch: str) -> None:
    image = make_grid(seed) if kind == "grid" else make_image(kind, seed, largest=40) // 8
    for level, box in enumerate(find_largest_boxes(image, switch)):
        boxes, largest = contour_boxes(image, level)
        assert tuple(box) == boxes[largest]


@pytest.mark.parametrize("switch", ["1", "0"])
def test_the_widest_box_need_not_be_of_the_largest(switch: str) -> None:
    image = np.zeros((20, 30), np.uint8)
    np.fill_diagonal(image[:18, :18], 9)  # a line in a box of 17 x 17 that encloses nothing
    image[2:10, 20:28] = 9
    assert find_largest_boxes(image, switch) == [[20, 2, 28, 10]] * 9
