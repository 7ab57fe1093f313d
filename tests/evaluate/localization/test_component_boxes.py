from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.localization.test_level_boxes import KINDS, make_image
from tests.oracles.evaluate_level_contours import contour_boxes
from tests.oracles.evaluate_max_box_acc import boxes_at
from wsl import compiled
from wsl.evaluate.localization.component_boxes import ComponentBoxes, find_components
from wsl.evaluate.localization.neighbourhoods import encode_neighbours


@pytest.fixture(params=["compiled", "numpy"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setenv(compiled.SWITCH, "1" if request.param == "compiled" else "0")
    return request.param


def find_both(image: np.ndarray) -> tuple[ComponentBoxes, ComponentBoxes]:
    """Components of {image > k}, and holes at levels counted down from 254."""
    framed, codes = np.pad(image, 1), encode_neighbours(image)
    return find_components(framed, codes, True), find_components(255 - framed, ~codes, False)


def list_boxes(image: np.ndarray) -> dict[int, Counter]:
    """All boxes of each level, holes with their border."""
    components, holes = find_both(image)
    levels = np.append(components.levels, 254 - holes.levels)
    boxes = np.concatenate([components.boxes, holes.boxes + np.array([-1, -1, 1, 1])])
    found: dict[int, Counter] = {}
    for level, box in zip(levels.tolist(), boxes.tolist(), strict=True):
        found.setdefault(level, Counter())[tuple(box)] += 1
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_of_every_level_are_those_of_components_and_holes(way: str, kind: str) -> None:
    for seed in range(3):
        image = make_image(kind, seed)
        found = list_boxes(image)
        assert sorted(found) == list(range(image.max()))
        for level in np.unique(image)[:-1:3].tolist():
            assert found[level] == Counter(boxes_at(image, level)[0])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KINDS))
def test_boxes_of_larger_images_are_those_of_contours(seed: int, kind: str) -> None:
    image = make_image(kind, seed, largest=60)
    found = list_boxes(image)
    for level in np.random.default_rng(seed).integers(0, image.max(), 6).tolist():
        assert found[level] == Counter(contour_boxes(image, level)[0])


def test_a_place_is_in_the_topmost_row_of_its_component(way: str) -> None:
    image = make_image("rough", 5, largest=30)
    components, _ = find_both(image)
    width = image.shape[1] + 2
    for level, box, place in zip(components.levels, components.boxes, components.places, strict=True):
        y, x = divmod(int(place), width)
        assert image[y - 1, x - 1] > level
        assert y - 1 == box[1]
        assert box[0] <= x - 1 < box[2]


def test_nothing_above_the_frame_is_nothing(way: str) -> None:
    for shape in ((1, 1), (3, 4)):
        components, holes = find_both(np.zeros(shape, np.uint8))
        assert components.boxes.shape == holes.boxes.shape == (0, 4)
