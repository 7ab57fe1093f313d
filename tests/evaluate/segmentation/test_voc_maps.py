"""Real label maps (VOC 2012 with 255 around objects), spoilt in known ways, against hand formulas and slow oracles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.oracles.evaluate_boundary import boundary_by_erosion, boundary_counts
from wsl.data.label_maps import read_label_map
from wsl.evaluate.metrics import MetricSettings
from wsl.evaluate.metrics.label_map_metrics import make_segmentation_table
from wsl.evaluate.segmentation.boundary import BoundaryIoU, compute_boundary_width, find_boundary
from wsl.evaluate.segmentation.boundary_f import BoundaryF
from wsl.evaluate.segmentation.confusion import Confusion, compute_coverage, compute_iou
from wsl.evaluate.segmentation.image_counts import ImageCounter
from wsl.evaluate.segmentation.size_bins import SizeBins
from wsl.evaluate.segmentation.sweep import BackgroundSweep
from wsl.evaluate.segmentation.trimap import TrimapIoU
from wsl.types import ClassSet

CLASSES = 20
Degrade = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(params=[pytest.param(40, id="40 maps"), pytest.param(None, id="all maps", marks=pytest.mark.slow)])
def label_maps(request: pytest.FixtureRequest, real_data: Path) -> list[Path]:
    files = sorted((real_data / "data" / "voc12_masks").glob("*.png"))
    if not files:
        pytest.skip(f"REAL DATA MISSING: {real_data}/data/voc12_masks")
    return files[:: len(files) // request.param] if request.param else files


def score(files: list[Path], degrade: Degrade, policy: str = "background") -> tuple[Confusion, np.ndarray]:
    """(confusion of the degraded maps, true pixels per class)."""
    confusion, pixels = Confusion(CLASSES, policy), np.zeros(256, np.int64)
    for truth in map(read_label_map, files):
        confusion.update(truth, degrade(truth))
        pixels += np.bincount(truth.ravel(), minlength=256)
    return confusion, pixels[: CLASSES + 1]


def without_void(label_map: np.ndarray) -> np.ndarray:
    return np.where(label_map == 255, np.uint8(0), label_map)


def shift(label_map: np.ndarray) -> np.ndarray:
    return np.roll(without_void(label_map), 1, axis=1)


def erode(label_map: np.ndarray) -> np.ndarray:
    result = np.zeros_like(label_map)
    for class_id in range(1, CLASSES + 1):
        result[cv2.erode((label_map == class_id).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = class_id
    return result


def count_by_mask(files: list[Path], degrade: Degrade) -> np.ndarray:
    """Confusion matrix as one sum per pair of classes."""
    matrix = np.zeros((CLASSES + 1, CLASSES + 1), np.int64)
    for truth in map(read_label_map, files):
        predicted = degrade(truth)
        for true in set(np.unique(truth)) - {255}:
            for other in np.unique(predicted):
                matrix[true, other] += ((truth == true) & (predicted == other)).sum()
    return matrix


@pytest.mark.parametrize("degrade", [without_void, shift, erode])
def test_confusion_is_one_sum_per_pair_of_classes(label_maps: list[Path], degrade: Degrade) -> None:
    confusion, pixels = score(label_maps, degrade)
    np.testing.assert_array_equal(confusion.matrix, count_by_mask(label_maps, degrade))
    np.testing.assert_array_equal(confusion.matrix.sum(axis=1), pixels)


def test_the_truth_itself_is_perfect(label_maps: list[Path]) -> None:
    confusion, pixels = score(label_maps, without_void)
    np.testing.assert_array_equal(compute_iou(confusion.matrix), np.where(pixels > 0, 1.0, np.nan))


def test_eroded_classes_lose_what_was_eroded(label_maps: list[Path]) -> None:
    confusion, pixels = score(label_maps, erode)
    kept = sum(np.bincount(erode(read_label_map(path)).ravel(), minlength=CLASSES + 1) for path in label_maps)
    expected = np.divide(kept, pixels, out=np.full(CLASSES + 1, np.nan), where=pixels > 0)
    expected[0] = pixels[0] / (pixels[0] + (pixels - kept)[1:].sum())
    np.testing.assert_allclose(compute_iou(confusion.matrix), expected, rtol=1e-15)


def test_swapped_classes_are_all_wrong_and_the_background_right(label_maps: list[Path]) -> None:
    order = np.arange(256, dtype=np.uint8)
    order[1 : CLASSES + 1] = np.roll(order[1 : CLASSES + 1], 1)
    confusion, pixels = score(label_maps, lambda label_map: order[without_void(label_map)])
    iou = compute_iou(confusion.matrix)
    assert iou[0] == 1.0
    there = (pixels > 0) | (confusion.matrix.sum(axis=0) > 0)
    np.testing.assert_array_equal(iou[1:], np.where(there, 0.0, np.nan)[1:])
    np.testing.assert_array_equal(confusion.matrix.sum(axis=0)[order[: CLASSES + 1]], pixels)


def test_all_background(label_maps: list[Path]) -> None:
    confusion, pixels = score(label_maps, np.zeros_like)
    iou = compute_iou(confusion.matrix)
    assert iou[0] == pixels[0] / pixels.sum()
    np.testing.assert_array_equal(iou[1:], np.where(pixels > 0, 0.0, np.nan)[1:])


def test_255_inside(label_maps: list[Path]) -> None:
    """The left half of each image is 255 in the prediction, the rest is perfect."""

    def hide(label_map: np.ndarray) -> np.ndarray:
        result = without_void(label_map)
        result[:, : label_map.shape[1] // 2] = 255
        return result

    hidden = np.zeros(256, np.int64)
    for truth in map(read_label_map, label_maps):
        hidden += np.bincount(truth[:, : truth.shape[1] // 2].ravel(), minlength=256)
    hidden = hidden[: CLASSES + 1]
    excluded, pixels = score(label_maps, hide, "exclude")
    np.testing.assert_array_equal(compute_iou(excluded.matrix), np.where(pixels > hidden, 1.0, np.nan))
    as_background, _ = score(label_maps, hide)
    for confusion in (excluded, as_background):
        assert compute_coverage(pixels, confusion.unsure) == (pixels - hidden).sum() / pixels.sum()
    expected = np.divide(pixels - hidden, pixels, out=np.full(CLASSES + 1, np.nan), where=pixels > 0)
    expected[0] = pixels[0] / (pixels[0] + hidden[1:].sum())
    np.testing.assert_allclose(compute_iou(as_background.matrix), expected, rtol=1e-15)


def test_per_image_counts_add_up(label_maps: list[Path]) -> None:
    confusion, counter = Confusion(CLASSES), ImageCounter(CLASSES)
    for path in label_maps:
        truth = read_label_map(path)
        confusion.update(truth, shift(truth))
        counter.update(truth, shift(truth), path.stem)
    table = make_segmentation_table(counter.counts(), MetricSettings(ClassSet(tuple(map(str, range(CLASSES))))))
    true, predicted, hit = table.sums(np.ones((1, len(label_maps))))[0].T
    np.testing.assert_array_equal(true, confusion.matrix.sum(axis=1))
    np.testing.assert_array_equal(predicted, confusion.matrix.sum(axis=0))
    np.testing.assert_array_equal(hit, np.diagonal(confusion.matrix))


def test_sweep_over_drawn_scores(label_maps: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores 0.8 on each object, 0.4 on the strip shifted off it: the right threshold is between the two."""
    sweeps = [BackgroundSweep(CLASSES, [0.2, 0.4, 0.6, 0.8], keep_images=keep) for keep in (False, True)]
    for path in label_maps:
        truth = read_label_map(path)
        class_ids = [int(value) for value in np.unique(truth) if 0 < value < 255]
        scores = np.array([np.maximum((truth == one) * 0.8, (shift(truth) == one) * 0.4) for one in class_ids])
        for compiled, sweep in enumerate(sweeps):
            monkeypatch.setenv("WSL_COMPILED", str(compiled))
            sweep.update(scores.astype(np.float32), class_ids, truth, path.stem)
    np.testing.assert_array_equal(sweeps[0].confusions(), sweeps[1].confusions())
    assert sweeps[0].best().threshold["value"] == 0.4
    assert sweeps[0].best().value == 1.0
    assert sweeps[0].at(0.2, "fixed").value < 1.0
    assert sweeps[1].image_curves().image_ids == tuple(path.stem for path in label_maps)


def iterate_some(files: list[Path], count: int = 6) -> Iterator[np.ndarray]:
    yield from map(read_label_map, files[:: max(1, len(files) // count)])


def test_boundary_iou_of_shifted_maps(label_maps: list[Path]) -> None:
    metric, total = BoundaryIoU(CLASSES), np.zeros((CLASSES + 1, 2), np.int64)
    for truth in iterate_some(label_maps):
        width = compute_boundary_width(truth.shape)
        metric.update(truth, shift(truth))
        total += boundary_counts(truth, shift(truth), CLASSES, width, "background")
        boundary = find_boundary(truth, width)
        for label in np.unique(truth):
            np.testing.assert_array_equal(boundary & (truth == label), boundary_by_erosion(truth == label, width))
    (result,) = metric.scores()
    for index, (both, either) in enumerate(total.tolist()):
        assert result.per_class[f"class {index}"]["iou"] == (both / either if either else None)


def test_edges_and_sizes_of_good_and_bad_maps(label_maps: list[Path]) -> None:
    """The truth scores 1 everywhere; all background finds no object and no contour of one."""
    for degrade, expected in ((without_void, 1.0), (np.zeros_like, 0.0)):
        trimap, contour, bins = TrimapIoU(CLASSES, (3, 10)), BoundaryF(CLASSES), SizeBins(CLASSES)
        for truth in iterate_some(label_maps):
            for metric in (trimap, contour, bins):
                metric.update(truth, degrade(truth))
        assert {one.value for one in trimap.scores(background="exclude")} == {expected}
        assert {one.value for one in bins.scores()} <= {expected, None}
        if degrade is np.zeros_like:
            assert contour.scores(background="exclude")[0].value == 0.0
