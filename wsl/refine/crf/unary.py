"""Unary energies of a dense CRF: what hard labels, scores or logits say of each pixel by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError

LOWEST_SCORE = np.float32(1e-5)


def compute_label_unary(seed_index: NDArray[Any], labels: int, gt_prob: float) -> NDArray[np.float32]:
    """Energies float32 (labels, H, W) of hard labels: -log(gt_prob) for the label, the rest shared by the others.

    seed_index: whole numbers (H, W), 0..labels-1, or -1 or 255 (with at most 255 labels) where the label is not known
    (all labels equal). labels >= 1; a single label costs nothing. gt_prob in (0, 1): how far the labels are believed.
    Same as pydensecrf's unary_from_labels, which divides by zero for one label and counts 0 as unknown.
    Raises ConfigError for gt_prob, DataError for labels that are not there.
    """
    if not 0 < gt_prob < 1:
        raise ConfigError(f"gt_prob: expected a value above 0 and below 1, but got {gt_prob}.")
    known = _check_index(np.asarray(seed_index), labels)
    if labels == 1:
        return np.zeros((1, *seed_index.shape), np.float32)
    others = np.float32(-np.log((1 - gt_prob) / (labels - 1)))
    unary = np.full((labels, *seed_index.shape), others, np.float32)
    for label in range(labels):
        unary[label][seed_index == label] = np.float32(-np.log(gt_prob))
    unary[:, ~known] = np.float32(np.log(labels))
    return unary


def _check_index(seed_index: NDArray[Any], labels: int) -> NDArray[np.bool_]:
    """Where the label is known."""
    if labels < 1 or seed_index.ndim != 2 or not np.issubdtype(seed_index.dtype, np.integer):
        raise DataError(
            f"labels: expected whole numbers (H, W) and at least one label, but got {seed_index.dtype} "
            f"{seed_index.shape} and {labels}."
        )
    known: NDArray[np.bool_] = (seed_index >= 0) & (seed_index < labels)
    strange = seed_index[~known & (seed_index != -1) & (seed_index != 255)]
    if strange.size:
        raise DataError(f"labels: expected 0..{labels - 1}, or -1 or 255 for unknown, but found {int(strange[0])}.")
    return known


def compute_score_unary(scores: NDArray[Any]) -> NDArray[np.float32]:
    """Energies float32 of the same shape: -log(clip(scores, 1e-5, 1)), not renormalised over the labels.

    So do PSA and CLIP-ES, whose scores do not sum to 1, and pydensecrf's unary_from_softmax.
    """
    unary: NDArray[np.float32] = -np.log(np.clip(np.asarray(scores, np.float32), LOWEST_SCORE, np.float32(1)))
    return unary


def compute_logit_unary(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Energies float32 of logits floating (L, H, W): -log of their softmax over the labels, without a floor."""
    shifted = np.asarray(logits, np.float32)
    shifted = shifted - shifted.max(axis=0)
    unary: NDArray[np.float32] = np.log(np.exp(shifted).sum(axis=0)) - shifted
    return unary
