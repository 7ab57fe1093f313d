"""All detections of a class over all images, best first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsl.evaluate.detection.matching import DROPPED, HIT, Matches


@dataclass(frozen=True)
class Ranking:
    """Detections of one class that count, by falling score; equal scores by image, then as they were given.

    `hits` bool (N,), `scores` float64 (N,), `images` int64 (N,): number of the image of each. `true_images` and
    `true_counts` int64 (M,): the images with true boxes that count, ascending, and how many.
    """

    hits: NDArray[np.bool_]
    scores: NDArray[np.float64]
    images: NDArray[np.int64]
    true_images: NDArray[np.int64]
    true_counts: NDArray[np.int64]

    @property
    def positives(self) -> int:
        """Number of objects to find."""
        return int(self.true_counts.sum())


def rank_detections(matches: Matches, row: int) -> dict[int, Ranking]:
    """class id -> ranking, ascending, at the IoU threshold of `row`, for all classes with detections or objects."""
    order = np.lexsort((-matches.scores, matches.class_ids))
    order = order[matches.outcomes[row, order] != DROPPED]
    by_class = np.argsort(matches.true_ids, kind="stable")
    class_ids, true_ids = matches.class_ids[order], matches.true_ids[by_class]
    result = {}
    for class_id in np.union1d(class_ids, true_ids):
        mine, wanted = order[_span(class_ids, class_id)], by_class[_span(true_ids, class_id)]
        hits = matches.outcomes[row, mine] == HIT
        true_images, true_counts = np.unique(matches.true_images[wanted], return_counts=True)
        result[int(class_id)] = Ranking(
            hits, matches.scores[mine], matches.images[mine], true_images, true_counts.astype(np.int64)
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


def _span(ascending: NDArray[np.int64], value: np.int64) -> slice:
    low, high = np.searchsorted(ascending, value, side="left"), np.searchsorted(ascending, value, side="right")
    return slice(int(low), int(high))
