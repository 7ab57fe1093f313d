"""Counts of label maps image by image, so that images can be weighted, resampled and compared without the maps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from wsl.errors import ConfigError, DataError
from wsl.evaluate.segmentation.confusion import (
    PREDICTED_IGNORE,
    Counts,
    check_policy,
    count_marginals,
    count_pairs,
    reduce_pairs,
)
from wsl.types import LabelMap


@dataclass(frozen=True)
class ImageCounts:
    """Pixels per image and class. One row for each class that occurs in an image, as truth or as prediction.

    `sizes` int64 (I, 2) are (height, width) of `image_ids`. Per row, int64 (R,): `row_image` is a place in
    `image_ids`, `row_class` a class id in 0..N; `true` pixels of the class, `predicted` ones, and `hit`, in both.
    Pixels with ground truth 255 are in none. Sorted by image id, then class.
    """

    num_classes: int
    predicted_ignore: str
    image_ids: tuple[str, ...]
    sizes: Counts
    row_image: Counts
    row_class: Counts
    true: Counts
    predicted: Counts
    hit: Counts

    def dense(self, values: Counts) -> Counts:
        """One of the row arrays as int64 (I, N+1), 0 where there is no row."""
        table = np.zeros((len(self.image_ids), self.num_classes + 1), np.int64)
        table[self.row_image, self.row_class] = values
        return table


@dataclass(frozen=True)
class _OneImage:
    """One image's rows as bytes: thousands of small arrays between the large ones that come and go would keep the
    memory of those from being used again (1 GB for 10,000 images)."""

    image_id: str
    size: tuple[int, int]
    rows: bytes

    @staticmethod
    def pack(image_id: str, size: tuple[int, int], class_ids: Counts, marginals: Counts) -> _OneImage:
        """class_ids int64 (R,), marginals int64 (3, R): true, predicted, hit."""
        return _OneImage(image_id, size, np.vstack([class_ids[None], marginals]).astype(np.int64).tobytes())

    def unpack(self) -> Counts:
        """int64 (4, R): class id, true, predicted, hit."""
        return np.frombuffer(self.rows, np.int64).reshape(4, -1)


class ImageCounter:
    """Collects the counts of each image; `counts()` gives the record. Policies as in `reduce_pairs`."""

    def __init__(self, num_classes: int, predicted_ignore: str = "background") -> None:
        check_policy(predicted_ignore, PREDICTED_IGNORE, "predicted_ignore")
        self.num_classes, self.predicted_ignore = num_classes, predicted_ignore
        self._images: dict[str, _OneImage] = {}

    def update(self, ground_truth: LabelMap, prediction: LabelMap, name: str = "") -> None:
        """Adds the image `name`, both maps uint8 (H, W). DataError when there is an image of that name already."""
        height, width = ground_truth.shape[:2]
        self.update_pairs(count_pairs(ground_truth, prediction, name), (height, width), name)

    def update_pairs(self, pairs: Counts, size: tuple[int, int], name: str = "") -> None:
        """Adds the image `name` of `size` (H, W) from its table of `count_pairs`."""
        matrix, _ = reduce_pairs(pairs, self.num_classes, self.predicted_ignore, name)
        self.update_marginals(np.stack(count_marginals(matrix)), size, name)

    def update_marginals(self, marginals: Counts, size: tuple[int, int], name: str = "") -> None:
        """Adds the image `name` of `size` (H, W) from its own counts, int64 (3, N+1): true, predicted, hit."""
        self._check_new(name)
        class_ids = np.flatnonzero(marginals.any(axis=0))
        self._images[name] = _OneImage.pack(name, size, class_ids, marginals[:, class_ids])

    def merge(self, other: ImageCounter) -> None:
        """Adds the images of `other`, which must have the same classes and policy."""
        mine, theirs = (self.num_classes, self.predicted_ignore), (other.num_classes, other.predicted_ignore)
        if mine != theirs:
            raise ConfigError(f"Only equal counters can be joined: (classes, predicted_ignore) {mine} and {theirs}.")
        for name in other._images:
            self._check_new(name)
        self._images |= other._images

    def counts(self) -> ImageCounts:
        """All images, sorted by id."""
        return _gather(self._images.values(), self.num_classes, self.predicted_ignore)

    def _check_new(self, name: str) -> None:
        if name in self._images:
            raise DataError(f"image '{name}': expected a different id for each image, but this one came twice.")


def _gather(images: Iterable[_OneImage], num_classes: int, predicted_ignore: str) -> ImageCounts:
    ordered = sorted(images, key=lambda one: one.image_id)
    parts = [one.unpack() for one in ordered]
    class_ids, true, predicted, hit = np.concatenate([np.zeros((4, 0), np.int64), *parts], axis=1)
    return ImageCounts(
        num_classes=num_classes,
        predicted_ignore=predicted_ignore,
        image_ids=tuple(one.image_id for one in ordered),
        sizes=np.array([one.size for one in ordered], np.int64).reshape(-1, 2),
        row_image=np.repeat(np.arange(len(ordered)), [part.shape[1] for part in parts]).astype(np.int64),
        row_class=class_ids,
        true=true,
        predicted=predicted,
        hit=hit,
    )
