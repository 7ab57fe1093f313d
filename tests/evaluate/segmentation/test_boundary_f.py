from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.segmentation.test_boundary import make_map, make_pair
from tests.oracles.evaluate_boundary import contour_by_neighbour, f_by_class, squared_distance_by_pixel
from wsl.errors import ConfigError, DataError
from wsl.evaluate.segmentation.boundary_f import BoundaryF
from wsl.evaluate.segmentation.contours import compute_squared_distance, find_contours
from wsl.types import ClassSet


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 9), few=st.booleans())
def test_contours_and_distances(seed: int, few: bool) -> None:
    label_map = make_map(seed, [0, 4, 255])
    contours = find_contours(label_map)
    np.testing.assert_array_equal(contours, contour_by_neighbour(label_map))
    pixels = np.random.default_rng(seed).random(label_map.shape) < (0.01 if few else 0.3)
    np.testing.assert_array_equal(compute_squared_distance(pixels), squared_distance_by_pixel(pixels))


def test_contours_agree_with_scikit_image() -> None:
    segmentation = pytest.importorskip("skimage.segmentation")
    label_map = make_map(3, [0, 1, 2], (23, 18))
    for label in (1, 2):
        expected = segmentation.find_boundaries(label_map == label, connectivity=1, mode="inner")
        np.testing.assert_array_equal(find_contours(label_map) & (label_map == label), expected)


@pytest.mark.parametrize("place", [(0, 0), (399, 499), (200, 3)])
def test_far_distances_are_exact(place: tuple[int, int]) -> None:
    pixels = np.zeros((400, 500), np.bool_)
    pixels[place] = True
    rows, columns = np.indices(pixels.shape)
    expected = (rows - place[0]) ** 2 + (columns - place[1]) ** 2
    np.testing.assert_array_equal(compute_squared_distance(pixels), expected)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 9),
    tolerance=st.sampled_from([0.0, 0.05, 0.2]),
    policy=st.sampled_from(["background", "exclude"]),
)
def test_agrees_with_each_image_and_class_alone(seed: int, tolerance: float, policy: str) -> None:
    pairs = [make_pair(seed + index, [0, 1, 2, 255]) for index in (0, 3)]
    metric = BoundaryF(2, tolerance, predicted_ignore=policy)
    for truth, predicted in pairs:
        metric.update(truth, predicted)
    (score,) = metric.scores()
    for class_id in (0, 1, 2):
        each = [f_by_class(*pair, class_id, tolerance, policy) for pair in pairs]
        known = [value for value in each if value is not None]
        if known:
            assert score.per_class[f"class {class_id}"] == {
                "f": pytest.approx(sum(known) / len(known), rel=1e-12),
                "images": len(known),
            }
        else:
            assert f"class {class_id}" not in score.per_class


def test_hand_worked_shift() -> None:
    truth, predicted = np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.uint8)
    truth[10:20, 10:20], predicted[10:20, 12:22] = 1, 1  # moved by two pixels; the diagonal is 50
    values = {}
    for tolerance in (1.9 / 50, 2 / 50):
        metric = BoundaryF(1, tolerance)
        metric.update(truth, predicted)
        values[tolerance] = metric.scores(ClassSet(("cat",)))[0].per_class["cat"]["f"]
    # of 36 contour pixels, one vertical side lies out of reach at 1.9: its 10 pixels but those beside the other contour
    assert values[2 / 50] == 1.0
    assert values[1.9 / 50] == pytest.approx(f_by_class(truth, predicted, 1, 1.9 / 50, "background"))
    assert 0.5 < values[1.9 / 50] < 1


def test_classes_that_are_missing_or_fill_the_image() -> None:
    full, other = np.ones((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    half = full.copy()
    half[:, 4:] = 0
    cases = {(0, 0): 1.0, (0, 1): 0.0, (0, 2): 0.0, (2, 0): 0.0}
    maps = (full, other, half)
    for (truth, predicted), expected in cases.items():
        metric = BoundaryF(1)
        metric.update(maps[truth], maps[predicted])
        assert metric.scores()[0].per_class["class 1"]["f"] == expected


def test_a_class_that_is_not_there_costs_only_if_asked() -> None:
    truth = np.zeros((8, 8), np.uint8)
    predicted = truth.copy()
    predicted[2:4, 2:4] = 1
    values = {}
    for present in ("ground_truth", "either"):
        metric = BoundaryF(1, present=present)
        metric.update(truth, predicted)
        values[present] = metric.scores(background="exclude")[0].value
    assert values == {"ground_truth": None, "either": 0.0}


def test_halves_add_up_in_any_order() -> None:
    pairs = [make_pair(seed, [0, 1, 2, 255]) for seed in range(6)]
    whole, left, right = (BoundaryF(2, 0.05) for _ in range(3))
    for truth, predicted in pairs:
        whole.update(truth, predicted)
    for index, (truth, predicted) in reversed(list(enumerate(pairs))):
        (left if index % 2 else right).update(truth, predicted)
    left = pickle.loads(pickle.dumps(left))  # noqa: S301
    left.merge(right)
    assert left.scores() == whole.scores()
    assert math.isfinite(whole.scores()[0].value or math.nan)


def test_settings_and_input_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="same settings"):
        BoundaryF(2).merge(BoundaryF(2, 0.1))
    with pytest.raises(ConfigError, match="tolerance"):
        BoundaryF(2, 2)
    with pytest.raises(ConfigError, match="present: expected one of"):
        BoundaryF(2, present="both")
    with pytest.raises(DataError, match="img: prediction is 2x2"):
        BoundaryF(2).update(np.zeros((2, 3), np.uint8), np.zeros((2, 2), np.uint8), "img")
