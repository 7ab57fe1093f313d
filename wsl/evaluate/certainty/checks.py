"""What all per-image tables are checked for when they are made or read."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import DataError
from wsl.evaluate.certainty.tables import StoredTable, Values


def check_rows(table: StoredTable, **columns: NDArray[Any]) -> None:
    """DataError unless ids differ, `row_image` points to them, and every column has one entry per row."""
    ids, kind = table.image_ids, table.kind
    if not ids:
        raise DataError(f"{kind}: expected at least one image, but got none.")
    image_id, times = Counter(ids).most_common(1)[0]
    if times > 1:
        raise DataError(f"{kind}: expected different image ids, but '{image_id}' appears {times} times.")
    check_counts(kind, "row_image", table.row_image)
    check_counts(kind, "row_class", table.row_class)
    rows = table.row_image.shape
    if len(rows) != 1 or (table.row_image >= len(ids)).any():
        raise DataError(f"{kind}, row_image: expected (R,) image positions in 0..{len(ids) - 1}, but got shape {rows}.")
    for name, column in {"row_class": table.row_class, **columns}.items():
        if column.shape[:1] != rows:
            raise DataError(f"{kind}, {name}: expected one entry for each of {rows[0]} rows, but got {column.shape}.")


def check_counts(kind: str, name: str, counts: NDArray[Any]) -> None:
    """DataError unless `counts` are integers and not negative."""
    if counts.dtype.kind not in "iu" or (counts.size and counts.min() < 0):
        raise DataError(f"{kind}, {name}: expected integers of at least 0, but got {counts.dtype}.")


def check_overlaps(kind: str, name: str, overlaps: NDArray[Any]) -> None:
    """DataError unless `overlaps` are floating and in [0, 1]."""
    if overlaps.dtype.kind != "f" or not ((overlaps >= 0) & (overlaps <= 1)).all():
        raise DataError(f"{kind}, {name}: expected floating values in [0, 1], but got {overlaps.dtype}.")


def check_thresholds(kind: str, thresholds: NDArray[Any], columns: NDArray[Any]) -> None:
    """DataError unless there are T finite thresholds for the last axis of `columns`, T at least 1."""
    if thresholds.ndim != 1 or columns.ndim < 2 or len(thresholds) != columns.shape[-1] or not len(thresholds):
        raise DataError(f"{kind}: expected one threshold per column, but got {thresholds.shape} for {columns.shape}.")
    if thresholds.dtype.kind != "f" or not np.isfinite(thresholds).all():
        raise DataError(f"{kind}, thresholds: expected finite floating numbers, but got {thresholds.dtype}.")


def to_weights(weights: ArrayLike, images: int) -> Values:
    """Weights as float64 (B, n); DataError unless they are that, finite and not negative."""
    array = np.asarray(weights, np.float64)
    if array.ndim != 2 or array.shape[1] != images or not (np.isfinite(array) & (array >= 0)).all():
        raise DataError(f"weights: expected (B, {images}) finite values of at least 0, but got {array.shape}.")
    return array
