from __future__ import annotations

import numpy as np
import pytest

from tests.evaluate.certainty.tables_of_images import make_ids
from tests.oracles.evaluate_certainty import judge_boxes
from wsl.errors import DataError
from wsl.evaluate.certainty.detection_table import DetectionTable
from wsl.evaluate.detection.voc_ap import VocAp
from wsl.types import Box

IMAGES = 6


def draw_boxes(generator: np.random.Generator, count: int) -> list[Box]:
    return [
        Box((x, 0.0, x + 10.0, 10.0), int(c), float(score), bool(difficult))
        for x, c, score, difficult in zip(
            generator.integers(0, 8, count), generator.integers(1, 4, count), generator.integers(0, 4, count) / 4,
            generator.random(count) < 0.2, strict=True,
        )
    ]  # fmt: skip


def make_pair(seed: int) -> tuple[VocAp, DetectionTable]:
    """The accumulator and the table of the same images; scores tie."""
    generator = np.random.default_rng(seed)
    accumulator, judged, wanted = VocAp(), [], []
    for place, name in enumerate(make_ids(IMAGES)):
        predicted, truth = draw_boxes(generator, 5), draw_boxes(generator, 2)
        accumulator.update(predicted, truth, name)
        judged += [(place, *one) for one in judge_boxes(predicted, truth)]
        easy = [box.class_id for box in truth if not box.difficult]
        wanted += [(place, class_id, easy.count(class_id)) for class_id in sorted(set(easy))]
    images, classes, scores, hits = (np.array(column) for column in zip(*judged, strict=True))
    return accumulator, DetectionTable(make_ids(IMAGES), images, classes, scores, hits, *np.array(wanted).T)


@pytest.mark.parametrize("average", ["area", "11_point"])
def test_agrees_with_the_accumulator_under_every_weighting(average: str) -> None:
    for seed in range(5):
        accumulator, table = make_pair(seed)
        table = DetectionTable.from_arrays(table.image_ids, table.arrays(), table.settings() | {"average": average})
        weights = np.random.default_rng(seed).integers(0, 3, (20, IMAGES))
        wanted = accumulator.resample(weights, kind=average)
        np.testing.assert_allclose(table.measure(weights), wanted, rtol=1e-14)


def test_a_hand_worked_case() -> None:
    """Ranks: miss (b), hit (a). With image a drawn twice: miss, hit, hit of 2 objects: envelope 2/3."""
    one = np.array([0, 1]), np.array([1, 1]), np.array([0.5, 0.9]), np.array([True, False])
    table = DetectionTable(("a", "b"), *one, np.array([0]), np.array([1]), np.array([1]))
    np.testing.assert_allclose(table.measure([[1, 1], [2, 1], [1, 0], [0, 1]]), [1 / 2, 2 / 3, 1.0, np.nan])
    counted = DetectionTable(
        ("a", "b"), *one, np.array([0]), np.array([1]), np.array([1]), "area", "truth_or_predicted"
    )
    np.testing.assert_allclose(counted.measure([[0, 1]]), [0.0])


def test_subset_is_the_weighting_with_zeros() -> None:
    _, table = make_pair(7)
    weights = np.zeros((1, IMAGES))
    weights[0, [1, 4]] = 1, 2
    part = table.select(np.array([4, 1]))
    classes = [table.class_ids.index(class_id) for class_id in part.class_ids]
    np.testing.assert_allclose(part.measure_classes([[2, 1]])[0], table.measure_classes(weights)[0, classes])
    np.testing.assert_array_equal(part.truth()[:, 0] < 2, True)


def test_weights_must_be_whole() -> None:
    with pytest.raises(DataError, match="whole weights only"):
        make_pair(0)[1].measure(np.full((1, IMAGES), 0.5))
    one = np.array([0])
    with pytest.raises(DataError, match="of one length"):
        DetectionTable(("a",), one, one, np.array([0.5]), np.array([True]), one, one, np.array([1, 2]))
