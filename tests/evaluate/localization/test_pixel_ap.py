from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.evaluate_pixel_ap import best_iou, counts_at, histograms, pixel_ap, stretch
from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.pixel_ap import PixelAp
from wsl.types import ClassSet

Image = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def make_image(seed: int, side: int = 9) -> Image:
    """A map in [0, 1] of one or more pixels, a mask of which it knows something, and an ignored part now and then."""
    generator = np.random.default_rng(seed)
    size = tuple(generator.integers(1, side, 2))
    mask = generator.random(size) < 0.4
    score_map = np.clip(generator.random(size) * 0.8 + 0.2 * mask, 0, 1)
    if seed % 3 == 0:
        score_map = score_map.astype(np.float32)
    return score_map, mask, generator.random(size) < 0.3 if seed % 2 else None


def add_all(metric: PixelAp, images: list[Image], classes: int = 2) -> PixelAp:
    for index, (score_map, mask, ignore) in enumerate(images):
        metric.update(score_map, mask, ignore, 1 + index % classes, f"image {index}")
    return metric


@pytest.mark.parametrize("compiled", ["0", "1"])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 9))
def test_agrees_with_the_published_loop(compiled: str, seed: int) -> None:
    images = [make_image(seed + index) for index in range(4)]
    images[0][1].flat[0] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WSL_COMPILED", compiled)
        metric = add_all(PixelAp(interval=0.1, keep_histograms=True), images)
    stretched = [(stretch(score_map), mask, ignore) for score_map, mask, ignore in images]
    np.testing.assert_array_equal(metric.histograms().counts.sum(axis=0), histograms(stretched, 0.1))
    area, overlap = metric.scores()
    assert area.value == pytest.approx(pixel_ap(stretched, 0.1), abs=1e-12)
    value, threshold = best_iou(stretched, 0.1)
    assert overlap.value == pytest.approx(value, abs=1e-12)
    assert overlap.threshold == {"value": threshold, "provenance": "oracle"}
    first = pixel_ap(stretched[::2], 0.1)
    assert area.per_class["class 1"]["pxap"] == pytest.approx(first, abs=1e-12)
    for index, tau in enumerate(area.curve["threshold"]):
        true, false, lost = counts_at(stretched, tau)
        measured = [area.curve[name][index] for name in ("precision", "recall", "iou")]
        precision = true / (true + false) if true + false else None
        assert measured == [precision, true / (true + lost), true / (true + false + lost)]


def test_a_fixed_threshold_is_one_of_the_steps() -> None:
    images = [make_image(seed) for seed in (2, 5)]
    metric = add_all(PixelAp(interval=0.01), images)
    stretched = [(stretch(score_map), mask, ignore) for score_map, mask, ignore in images]
    true, false, lost = counts_at(stretched, 0.3)
    scores = metric.at(0.3, "val", ClassSet(("cat", "dog")))
    assert [score.name for score in scores] == ["pixel precision", "pixel recall", "pixel IoU"]
    values = [true / (true + false), true / (true + lost), true / (true + false + lost)]
    assert [score.value for score in scores] == values
    assert {score.threshold["provenance"] for score in scores} == {"val"}
    assert list(scores[2].per_class) == ["cat", "dog"]
    with pytest.raises(DataError, match=r"threshold 0\.305 is not a step"):
        metric.at(0.305)


def test_a_hand_worked_case() -> None:
    # by threshold from the top: 1.0 finds one of two pixels; 0.5 adds a wrong one; 0.0 finds all four
    metric = PixelAp(interval=0.25, normaliser="none")
    metric.update(np.array([[1.0, 0.5, 0.0, 0.0]]), np.array([[True, False, True, False]]), None, 1)
    area, overlap = metric.scores()
    assert area.value == 1.0 * 0.5 + 0.5 * 0.5
    assert overlap.value == 0.5
    assert overlap.threshold["value"] == 0.0  # 0.75 and 1.0 reach 1/2 as well
    assert area.curve["precision"] == [0.5, 0.5, 0.5, 1.0, 1.0]
    assert area.counts["pixels on the object"] == 2


def test_the_224_grid_resizes_map_and_mask_before_the_stretch() -> None:
    generator = np.random.default_rng(0)
    score_map, mask = generator.random((30, 41)).astype(np.float32), generator.random((30, 41)) < 0.3
    ignore = generator.random((30, 41)) < 0.2
    metric = PixelAp("wsolevaluation", keep_histograms=True)
    metric.update(score_map, mask, ignore, 1, "a")
    resized = cv2.resize(score_map.astype(np.float64), (224, 224), interpolation=cv2.INTER_CUBIC)
    masks = [
        cv2.resize(each.astype(np.uint8), (224, 224), interpolation=cv2.INTER_NEAREST) > 0.5 for each in (mask, ignore)
    ]
    expected = [(stretch(resized), *masks)]
    np.testing.assert_array_equal(metric.histograms().counts[0], histograms(expected, 0.001))
    assert metric.scores()[0].value == pytest.approx(pixel_ap(expected, 0.001), abs=1e-12)
    again = PixelAp("wsolevaluation", keep_histograms=True)
    again.update(score_map, masks[0], masks[1], 1, "a", size=(30, 41))  # the masks are on the grid already
    np.testing.assert_array_equal(again.histograms().counts, metric.histograms().counts)


def test_stored_maps_are_taken_as_they_are() -> None:
    score_map = np.full((224, 224), 0.25)
    metric = PixelAp("wsolevaluation_files", 0.001)
    assert len(PixelAp("wsolevaluation_files").edges) == 103
    metric.update(score_map, np.ones((10, 20), bool), None, 1)
    assert metric.at(0.25)[1].value == 1.0
    assert metric.at(0.251)[1].value == 0.0
    with pytest.raises(DataError, match=r"expected a score map of \(224, 224\), but got \(10, 20\)"):
        metric.update(np.zeros((10, 20)), np.ones((10, 20), bool), None, 1)


@pytest.mark.parametrize("protocol", ["original", "wsolevaluation"])
def test_a_constant_map_is_0_everywhere_and_counted(protocol: str) -> None:
    metric = PixelAp(protocol)
    mask = np.arange(35).reshape(5, 7) < 7
    metric.update(np.full((5, 7), 0.1, np.float32), mask, None, 1)
    area, overlap = metric.scores()
    assert area.counts["constant maps"] == 1
    assert overlap.threshold["value"] == 0.0
    assert area.value == overlap.value == area.counts["pixels on the object"] / metric.total().sum()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 9), cut=st.integers(0, 5), order=st.permutations(range(5)))
def test_halves_in_any_order_give_the_whole(seed: int, cut: int, order: list[int]) -> None:
    images = [make_image(seed + index) for index in range(5)]
    whole, left, right = (PixelAp(interval=0.01, keep_histograms=True) for _ in range(3))
    add_all(whole, images)
    for place, index in enumerate(order):
        half = left if place < cut else right
        half.update(*images[index], 1 + index % 2, f"image {index}")
    right.merge(pickle.loads(pickle.dumps(left)))  # noqa: S301
    assert right.scores() == whole.scores()
    assert right.histograms().image_ids == whole.histograms().image_ids
    np.testing.assert_array_equal(right.histograms().counts, whole.histograms().counts)


def test_histograms_of_single_pairs() -> None:
    images = [make_image(seed) for seed in range(4)]
    record = add_all(PixelAp(keep_histograms=True), images).histograms()
    assert record.image_ids == ("image 0", "image 1", "image 2", "image 3")
    assert record.class_ids.tolist() == [1, 2, 1, 2]
    assert record.counts.dtype == np.int32
    assert record.counts.shape == (4, 2, 1002)
    for row, (score_map, mask, ignore) in zip(record.counts, images, strict=True):
        np.testing.assert_array_equal(row, histograms([(stretch(score_map), mask, ignore)], 0.001))
    with pytest.raises(ConfigError, match="keep_histograms=True"):
        PixelAp().histograms()


def test_without_a_pixel_on_the_object_all_is_undefined() -> None:
    assert [score.value for score in PixelAp().scores()] == [None, None]
    metric = PixelAp()
    metric.update(np.eye(3), np.zeros((3, 3), bool), np.ones((3, 3), bool), 1)
    area, overlap = metric.scores()
    assert (area.value, overlap.value) == (None, None)
    assert overlap.per_class == {"class 1": {"iou": None, "best_iou": None}}
    assert area.counts["ignored pixels"] == 9


def test_input_that_does_not_fit_is_refused() -> None:
    metric, mask = PixelAp(keep_histograms=True), np.eye(2, dtype=bool)
    metric.update(np.eye(2), mask, None, 1, "cat")
    with pytest.raises(DataError, match="cat: class 1 was added before"):
        metric.update(np.eye(2), mask, None, 1, "cat")
    with pytest.raises(DataError, match="dog: expected finite scores, but 4 are NaN"):
        metric.update(np.full((2, 2), np.nan), mask, None, 1, "dog")
    with pytest.raises(DataError, match="range is a finite number"):
        metric.update(np.array([[-1.7e308, 1.7e308]]), np.ones((1, 2), bool), None, 1)
    with pytest.raises(DataError, match=r"dog: expected a score map of \(2, 2\), but got \(2, 3\)"):
        metric.update(np.zeros((2, 3)), mask, None, 1, "dog")
    with pytest.raises(DataError, match=r"expected floating \(H, W\), but got int64"):
        metric.update(np.zeros((2, 2), np.int64), mask, None, 1)
    with pytest.raises(DataError, match="expected a mask as bool"):
        metric.update(np.eye(2), mask.astype(np.uint8), None, 1)
    with pytest.raises(DataError, match=r"the mask is \(2, 2\) but ignore is \(1, 2\)"):
        metric.update(np.eye(2), mask, mask[:1], 1)
    with pytest.raises(DataError, match=r"expected scores in \[0, 1\], but got -1\.\.1"):
        PixelAp(normaliser="none").update(np.array([[-1.0, 1.0]]), mask[:1], None, 1)
    with pytest.raises(DataError, match="cat: class 1 is in both halves"):
        metric.merge(metric)
    with pytest.raises(ConfigError, match="joined"):
        metric.merge(PixelAp())
    with pytest.raises(ConfigError, match=r"protocol: .* Did you mean: wsolevaluation\?"):
        PixelAp("wsolevaluatoin")
    with pytest.raises(ConfigError, match="interval"):
        PixelAp(interval=0.0)


def test_agrees_with_torchmetrics_over_pooled_pixels() -> None:
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("torchmetrics.functional.classification")
    generator = np.random.default_rng(0)
    metric, scores, targets = PixelAp(interval=1 / 64, normaliser="none"), [], []
    for _ in range(3):
        score_map = generator.integers(0, 65, (20, 21)) / 64  # exact in float32 too
        mask = generator.random((20, 21)) < 0.3 + 0.4 * score_map
        ignore = generator.random((20, 21)) < 0.1
        metric.update(score_map, mask, ignore, 1)
        scored = mask | ~ignore
        scores.append(score_map[scored])
        targets.append(mask[scored])
    pooled = torch.from_numpy(np.concatenate(scores)), torch.from_numpy(np.concatenate(targets)).long()
    expected = peer.binary_average_precision(*pooled, thresholds=torch.arange(65, dtype=torch.float64) / 64)
    assert metric.scores()[0].value == pytest.approx(float(expected), abs=1e-6)
