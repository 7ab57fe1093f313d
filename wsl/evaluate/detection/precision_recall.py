"""From a ranking of hits and misses to precision, recall and average precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class PrecisionRecall:
    """After each detection, best first: precision, recall and the score of the detection, float64 (N,) each.

    Recall is NaN where there is nothing to find.
    """

    precision: Values
    recall: Values
    scores: Values


def compute_precision_recall(hits: Flags, positives: int, scores: Values) -> PrecisionRecall:
    """`hits` bool (N,) says which detections, best first, are right; `positives` is the number of objects."""
    found = np.cumsum(hits)
    recall = found / positives if positives else np.full(len(hits), np.nan)
    return PrecisionRecall(found / np.arange(1, len(hits) + 1), recall, scores)


def compute_area(hits: Flags, positives: int) -> float:
    """Area under the envelope of precision over recall (VOC 2010 and later): 0 without a hit.

    The envelope at a recall is the greatest precision at this or any greater recall. `positives` is at least 1.
    """
    return float(_envelope_at_hits(hits).sum() / positives)


def sample_envelope(hits: Flags, positives: int, recalls: Sequence[float] | Values) -> Values:
    """The envelope at given recalls, float64 of their number; 0 where that recall is not reached."""
    envelope = np.append(_envelope_at_hits(hits), 0.0)
    reached = np.arange(1, len(envelope)) / positives
    values: Values = envelope[np.searchsorted(reached, recalls, side="left")]
    return values


def _envelope_at_hits(hits: Flags) -> Values:
    """Only at hits does recall grow, and behind a miss no precision is higher than at the hit before."""
    ranks = np.flatnonzero(hits) + 1
    precision = np.arange(1, len(ranks) + 1) / ranks
    return np.maximum.accumulate(precision[::-1])[::-1]
