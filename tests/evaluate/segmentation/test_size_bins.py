from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.segmentation.test_boundary import make_pair
from tests.oracles.evaluate_size_bins import rows_by_region
from wsl.errors import ConfigError, DataError
from wsl.evaluate.segmentation.size_bins import SizeBins
from wsl.types import ClassSet


def make_noisy_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = make_pair(seed, [0, 0, 1, 2, 255])
    generator = np.random.default_rng(seed)
    for label_map in (truth, predicted):
        noisy = generator.random(truth.shape) < 0.1
        label_map[noisy] = generator.choice(np.array([0, 1, 2, 255], np.uint8), int(noisy.sum()))
    return truth, predicted


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 9),
    connectivity=st.sampled_from([4, 8]),
    policy=st.sampled_from(["background", "exclude"]),
    threshold=st.sampled_from([0.3, 0.5, 1.0]),
)
def test_agrees_with_flood_fill(seed: int, connectivity: int, policy: str, threshold: float) -> None:
    truth, predicted = make_noisy_pair(seed)
    edges = (0.02, 0.1)
    metric = SizeBins(2, edges, threshold, connectivity, policy)
    metric.update(truth, predicted)
    scores = {score.name: score for score in metric.scores()}
    rows = rows_by_region(truth, predicted, 2, connectivity, policy)
    for index, name in enumerate(("< 2 %", "2-10 %", ">= 10 %")):
        own = [row for row in rows if sum(row[1] >= edge for edge in edges) == index]
        regions, pixels = scores[f"region recall {name}"], scores[f"pixel recall {name}"]
        assert regions.counts["regions"] == len(own)
        assert regions.value == (sum(row[4] >= threshold for row in own) / len(own) if own else None)
        assert pixels.value == (sum(row[3] for row in own) / sum(row[2] for row in own) if own else None)
        for class_id in (1, 2):
            mine = [row for row in own if row[0] == class_id]
            expected = sum(row[4] >= threshold for row in mine) / len(mine) if mine else None
            assert regions.per_class[f"class {class_id}"] == {"recall": expected, "regions": len(mine)}


def test_hand_worked_objects() -> None:
    """One predicted blob over two true objects is right for both; half an object is found by pixels and by IoU."""
    truth, predicted = np.zeros((10, 20), np.uint8), np.zeros((10, 20), np.uint8)
    truth[0, 0], truth[5:9, 0:4], truth[5:9, 5:9] = 1, 1, 1  # 1, 16 and 16 of 200 pixels
    predicted[5:9, 0:9] = 1  # joins the two large ones across 4 pixels of background
    metric = SizeBins(1, (0.01,))
    metric.update(truth, predicted)
    small_regions, small_pixels, large_regions, large_pixels = metric.scores(ClassSet(("cat",)))
    assert (small_regions.name, large_pixels.name) == ("region recall < 1 %", "pixel recall >= 1 %")
    assert (small_regions.value, small_pixels.value) == (0.0, 0.0)
    assert (large_regions.value, large_pixels.value) == (1.0, 1.0)
    assert large_regions.per_class == {"cat": {"recall": 1.0, "regions": 2.0}}
    strict = SizeBins(1, (0.01,), iou_threshold=0.81)
    strict.update(truth, predicted)
    assert strict.scores()[2].value == 0.0  # 16 of 20 pixels: IoU 0.8
    assert strict.scores()[2].conventions["region found"] == "IoU >= 0.81 with the predicted parts that touch it"


def test_default_bins_and_their_names() -> None:
    assert [score.name for score in SizeBins(1).scores()[::2]] == [
        "region recall < 1 %",
        "region recall 1-5 %",
        "region recall 5-20 %",
        "region recall >= 20 %",
    ]
    assert all(score.value is None for score in SizeBins(1).scores())
    assert SizeBins(1, ()).scores()[0].name == "region recall all sizes"
    metric = SizeBins(1)
    metric.update(np.ones((1, 1), np.uint8), np.ones((1, 1), np.uint8))
    assert [score.value for score in metric.scores()] == [None] * 6 + [1.0, 1.0]


def test_a_region_on_the_edge_of_a_bin_is_in_the_upper_one() -> None:
    truth = np.zeros((10, 10), np.uint8)
    truth[0, :5] = 1
    metric = SizeBins(1)
    metric.update(truth, truth)
    assert [score.counts["regions"] for score in metric.scores()[::2]] == [0, 0, 1, 0]


def test_halves_add_up_in_any_order() -> None:
    pairs = [make_noisy_pair(seed) for seed in range(5)]
    whole, left, right = (SizeBins(2) for _ in range(3))
    for pair in pairs:
        whole.update(*pair)
    for index, pair in reversed(list(enumerate(pairs))):
        (left if index % 2 else right).update(*pair)
    left = pickle.loads(pickle.dumps(left))  # noqa: S301
    left.merge(right)
    assert left.scores() == whole.scores()


def test_settings_and_input_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="same settings"):
        SizeBins(2).merge(SizeBins(2, (0.1,)))
    for edges in ((0.2, 0.1), (0.1, 0.1), (0.0,), (1.0,)):
        with pytest.raises(ConfigError, match="edges"):
            SizeBins(2, edges)
    with pytest.raises(ConfigError, match="iou_threshold"):
        SizeBins(2, iou_threshold=0)
    with pytest.raises(ConfigError, match="connectivity"):
        SizeBins(2, connectivity=6)
    with pytest.raises(DataError, match="img: prediction: expected values"):
        SizeBins(2).update(np.zeros((2, 2), np.uint8), np.full((2, 2), 9, np.uint8), "img")
