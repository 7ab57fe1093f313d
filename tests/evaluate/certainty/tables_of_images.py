"""Random images as the oracles take them, and the tables of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from wsl.evaluate.certainty.box_curve_table import BoxCurveTable
from wsl.evaluate.certainty.histogram_table import HistogramTable
from wsl.evaluate.certainty.segmentation_table import SegmentationTable
from wsl.evaluate.certainty.sweep_table import SweepTable

NUM_CLASSES, COLUMNS = 3, 4
THRESHOLDS = np.array([0.1, 0.2, 0.4, 0.7])


def make_ids(count: int) -> tuple[str, ...]:
    return tuple(f"image {index}" for index in range(count))


def draw_classes(generator: np.random.Generator, first: int) -> list[int]:
    return [class_id for class_id in range(first, NUM_CLASSES + 1) if generator.random() < 0.6]


def make_counts(generator: np.random.Generator, images: int, columns: int | None = None) -> list[dict[int, Any]]:
    """(true, predicted, hit) of each class; predicted and hit (columns,) when there are columns."""
    result = []
    for _ in range(images):
        image = {}
        for class_id in draw_classes(generator, 0):
            true = int(generator.integers(0, 9))
            predicted = generator.integers(0, 9, columns)
            image[class_id] = (true, predicted, generator.integers(0, np.minimum(true, predicted) + 1))
        result.append(image)
    return result


def make_curves(generator: np.random.Generator, images: int) -> list[dict[int, Any]]:
    """IoU (2, T) of each class, with ties at the usual limits."""
    values = np.array([0.0, 0.2, 0.3, 0.5, 0.6, 0.7, 0.9])
    return [{c: generator.choice(values, (2, COLUMNS)) for c in draw_classes(generator, 1)} for _ in range(images)]


def make_histograms(generator: np.random.Generator, images: int) -> list[dict[int, Any]]:
    """Pixels (2, T) of each class."""
    return [{c: generator.integers(0, 4, (2, COLUMNS)) for c in draw_classes(generator, 1)} for _ in range(images)]


def rows_of(images: list[dict[int, Any]]) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """(row_image, row_class, what is known of each)."""
    rows = [(place, class_id, known) for place, image in enumerate(images) for class_id, known in image.items()]
    places, classes = (np.array([row[column] for row in rows], np.int64) for column in (0, 1))
    return places, classes, [row[2] for row in rows]


def segmentation_table(images: list[dict[int, Any]], **settings: Any) -> SegmentationTable:
    places, classes, known = rows_of(images)
    true, predicted, hit = (np.array([row[column] for row in known], np.int64) for column in range(3))
    return SegmentationTable(make_ids(len(images)), places, classes, true, predicted, hit, NUM_CLASSES, **settings)


def sweep_table(images: list[dict[int, Any]], **settings: Any) -> SweepTable:
    places, classes, known = rows_of(images)
    true = np.array([row[0] for row in known], np.int64)
    predicted, hit = (
        np.array([row[column] for row in known], np.int64).reshape(len(known), COLUMNS) for column in (1, 2)
    )
    return SweepTable(make_ids(len(images)), places, classes, true, predicted, hit, THRESHOLDS, NUM_CLASSES, **settings)


def box_table(images: list[dict[int, Any]], **settings: Any) -> BoxCurveTable:
    places, classes, known = rows_of(images)
    best = np.array(known, float).reshape(len(known), 2, COLUMNS)
    return BoxCurveTable(make_ids(len(images)), places, classes, best, THRESHOLDS, **settings)


def histogram_table(images: list[dict[int, Any]], **settings: Any) -> HistogramTable:
    places, classes, known = rows_of(images)
    counts = np.array(known, np.int32).reshape(len(known), 2, COLUMNS)
    return HistogramTable(make_ids(len(images)), places, classes, counts, THRESHOLDS, **settings)
