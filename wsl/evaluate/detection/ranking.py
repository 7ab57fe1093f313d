"""All detections of a class over all images, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsl.evaluate.detection.matching import DROPPED, HIT, ImageMatches


@dataclass(frozen=True)
class Ranking:
    """Detections of one class that count, by falling score; equal scores by image, then as they were given.

    `hits` bool (N,), `scores` float64 (N,), `images` intp (N,): rows of the images. `true_images` intp (M,) and
    `true_counts` int64 (M,): the images with true boxes that count, and how many.
    """

    hits: NDArray[np.bool_]
    scores: NDArray[np.float64]
    images: NDArray[np.intp]
    true_images: NDArray[np.intp]
    true_counts: NDArray[np.int64]

    @property
    def positives(self) -> int:
        """Number of objects to find."""
        return int(self.true_counts.sum())


def rank_detections(matches: Sequence[ImageMatches], row: int) -> dict[int, Ranking]:
    """class id -> ranking, ascending, at the IoU threshold of `row`, for all classes with detections or objects."""
    if not matches:
        return {}
    class_ids, images = _join([each.class_ids for each in matches])
    true_ids, true_images = _join([each.true_ids for each in matches])
    scores = np.concatenate([each.scores for each in matches])
    outcomes = np.concatenate([each.outcomes[row] for each in matches])
    true_counts = np.concatenate([each.positives for each in matches])
    order = np.lexsort((-scores, class_ids))
    order = order[outcomes[order] != DROPPED]
    by_class = np.argsort(true_ids, kind="stable")
    result = {}
    for class_id in np.union1d(class_ids[order], true_ids):
        mine = order[_span(class_ids[order], class_id)]
        wanted = by_class[_span(true_ids[by_class], class_id)]
        result[int(class_id)] = Ranking(
            outcomes[mine] == HIT, scores[mine], images[mine], true_images[wanted], true_counts[wanted]
        )
    return result


def repeat_images(ranking: Ranking, times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`hits` as if image i were there times[i] times, the copies behind one another: int64 (images,) -> bool (N',)."""
    changes = (np.diff(ranking.images) != 0) | (np.diff(ranking.scores) != 0)
    if changes.all():
        return np.repeat(ranking.hits, times[ranking.images])
    # detections of one image with equal scores stay together: first all of one copy, then all of the next
    starts = np.flatnonzero(np.concatenate(([True], changes)))
    sizes = np.diff(np.append(starts, len(ranking.hits)))
    copies = times[ranking.images[starts]]
    lengths = np.repeat(sizes, copies)
    begins = np.cumsum(lengths) - lengths
    index = np.arange(lengths.sum()) + np.repeat(np.repeat(starts, copies) - begins, lengths)
    return ranking.hits[index]


def _join(parts: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """All values, and for each the number of the part that it comes from."""
    return np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def _span(ascending: NDArray[np.int64], value: np.int64) -> slice:
    low, high = np.searchsorted(ascending, value, side="left"), np.searchsorted(ascending, value, side="right")
    return slice(int(low), int(high))
