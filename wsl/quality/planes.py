"""Planes of an image that say at each pixel how clear the decision was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsl.types import Scores

Plane = NDArray[np.float32]


def compute_margin(scores: Scores, background: Plane, row: int) -> Plane:
    """Score of class `row` less that of its best rival, float32 (H, W) in [-1, 1].

    scores: float32 (K, H, W) in [0, 1]. background: (H, W) in [0, 1]. The rivals are the background and the other
    classes.
    """
    rival = background
    for other in range(len(scores)):
        if other != row:
            rival = np.maximum(rival, scores[other])
    return np.asarray(scores[row] - rival, np.float32)


def compute_certainty(scores: Scores, background: Plane) -> Plane:
    """1 - entropy of [background, scores] as shares of their sum, over log(K + 1): float32 (H, W) in [0, 1].

    1 = one class has everything, 0 = all are equal, also where all are 0. K = 0: 1, nothing is to be decided.
    """
    evidence = np.maximum(np.concatenate([background[None], scores]), 0).astype(np.float64)
    if len(evidence) == 1:
        return np.ones(background.shape, np.float32)
    total = evidence.sum(0)
    shares = np.divide(evidence, total, out=np.full_like(evidence, 1 / len(evidence)), where=total > 0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy = -(shares * logs).sum(0) / np.log(len(evidence))
    return np.asarray(np.clip(1 - entropy, 0, 1), np.float32)
