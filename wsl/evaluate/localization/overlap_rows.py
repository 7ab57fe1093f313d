"""What given boxes reach in each image and class, kept for later: intervals, paired tests, the worst images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError

Overlaps = Mapping[int, tuple[float, float]]  # class id -> IoU of the top box, IoU of the best box


@dataclass(frozen=True)
class OverlapRows:
    """One row per (image, class with a true box), by image_id, then class.

    `image_ids`: all n images, sorted, also those without a row. `images` int64 (R,): position in `image_ids`;
    `class_ids` int64 (R,); `top`, `best` float64 (R,): IoU of the box with the highest score, and of the best of all
    boxes, with the nearest true box; 0 without a box.
    """

    image_ids: tuple[str, ...]
    images: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    top: NDArray[np.float64]
    best: NDArray[np.float64]


class RowKeeper:
    """Collects the rows of a metric; images in any order, each once."""

    def __init__(self) -> None:
        self._images: dict[str, Overlaps] = {}

    def add(self, name: str, overlaps: Overlaps) -> None:
        """One image; DataError for one without a name or seen before."""
        if not name or name in self._images:
            raise DataError(f"image {name!r}: rows are kept by image, so each needs a name of its own.")
        self._images[name] = overlaps

    def merge(self, other: RowKeeper) -> None:
        """Adds the images of `other`; DataError when both have the same."""
        for name, overlaps in other._images.items():
            self.add(name, overlaps)

    def table(self) -> OverlapRows:
        """All rows so far."""
        image_ids = tuple(sorted(self._images))
        rows = [
            (position, class_id, *overlaps)
            for position, image_id in enumerate(image_ids)
            for class_id, overlaps in sorted(self._images[image_id].items())
        ]
        columns = np.array(rows, np.float64).reshape(-1, 4)
        images, class_ids = columns[:, :2].T.astype(np.int64)
        return OverlapRows(image_ids, images, class_ids, columns[:, 2].copy(), columns[:, 3].copy())


def take_rows(keeper: RowKeeper | None) -> OverlapRows:
    """The rows of a metric; DataError when it was told to keep none."""
    if keeper is None:
        raise DataError("rows: none were kept; make the metric with keep_rows=True.")
    return keeper.table()
