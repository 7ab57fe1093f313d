"""The counts of a background sweep image by image: what is needed to weight, resample or compare the images later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError
from wsl.evaluate.segmentation.confusion import Counts

PixelCounts = NDArray[np.signedinteger]  # int32, int64 for images of 2^31 pixels and more


@dataclass(frozen=True)
class SweepCounts:
    """Pixels per (image, class) row and threshold; background (class 0) has a row in every image.

    `row_image` (R,) is a place in `image_ids`, `row_class` (R,) a class id, both int64; `true` int64 (R,) are the
    pixels of the class, `predicted` and `hit` int32 or int64 (R, T) those predicted as the class and the right ones
    among them, in the order of `thresholds` (T). Ground truth 255 is in none. A class that is missing in an image has
    no pixel there, neither true nor predicted at any threshold. Sorted by image id, then class.
    """

    image_ids: tuple[str, ...]
    row_image: Counts
    row_class: Counts
    true: Counts
    predicted: PixelCounts
    hit: PixelCounts
    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class ImageRows:
    """One image of a sweep: `class_ids`, `true` int64 (R,); `predicted`, `hit` (R, L) per distinct level."""

    class_ids: Counts
    true: Counts
    predicted: PixelCounts
    hit: PixelCounts


def make_image_rows(counts: Counts, columns: Sequence[int]) -> ImageRows:
    """Rows of the classes with true pixels and of those with a score map, from the histogram of one image.

    counts: int64 (N+1, K, L+1), true class, best class, number of levels exceeded; `columns` are the class ids of the
    best classes ([0] when the image has no score map).
    """
    exceeded = np.cumsum(counts[:, :, ::-1], axis=2)[:, :, -2::-1]  # (N+1, K, L) pixels that exceed the level
    true = counts.sum(axis=(1, 2))
    shape = (len(counts), exceeded.shape[2])
    predicted, hit = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for place, class_id in enumerate(columns):
        predicted[class_id], hit[class_id] = exceeded[:, place].sum(axis=0), exceeded[class_id, place]
    predicted[0] = true.sum() - exceeded.sum(axis=(0, 1))
    hit[0] = true[0] - exceeded[0].sum(axis=0)
    class_ids = np.union1d(np.flatnonzero(true), [0, *columns]).astype(np.int64)
    small = np.int32 if int(true.sum()) < 2**31 else np.int64
    return ImageRows(class_ids, true[class_ids], predicted[class_ids].astype(small), hit[class_ids].astype(small))


def check_new_image(name: str, known: dict[str, ImageRows]) -> None:
    """Raises DataError when counts are kept per image and there is one of that name already."""
    if name in known:
        raise DataError(f"image '{name}': expected a different name for each image, but this one came twice.")


def join_rows(rows: dict[str, ImageRows], place: NDArray[np.intp], thresholds: Sequence[float]) -> SweepCounts:
    """All images, sorted by id; `place` (T,) is the level of each threshold."""
    image_ids = tuple(sorted(rows))
    ordered = [rows[image_id] for image_id in image_ids]
    empty = ImageRows(*[np.zeros(0, np.int64)] * 2, *[np.zeros((0, int(place.max()) + 1), np.int32)] * 2)
    every = [*ordered, empty]
    return SweepCounts(
        image_ids=image_ids,
        row_image=np.repeat(np.arange(len(ordered)), [len(one.class_ids) for one in ordered]).astype(np.int64),
        row_class=np.concatenate([one.class_ids for one in every]),
        true=np.concatenate([one.true for one in every]),
        predicted=np.concatenate([one.predicted for one in every])[:, place],
        hit=np.concatenate([one.hit for one in every])[:, place],
        thresholds=tuple(thresholds),
    )
