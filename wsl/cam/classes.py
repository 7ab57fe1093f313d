"""Which classes of an image get a map: its image-level labels, or what the classifier predicts."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsl.cam.groups import Groups


def group_logits(logits: Tensor, outputs: tuple[int, ...]) -> Tensor:
    """log-sum-exp over a group: logits (B, O) -> (B,). A group of one output is that logit."""
    return torch.logsumexp(logits[:, list(outputs)], dim=1)


def compute_probabilities(logits: Tensor, groups: Groups, label_mode: str) -> NDArray[np.float32]:
    """Probability of each group, float32 (B, number of groups), columns in the order of `groups`.

    `single`: the softmax over all outputs, summed over the group; `multi`: the sigmoid of the group's logit.
    """
    logits = logits.float()
    columns = [group_logits(logits, outputs) for outputs in groups.values()]
    if not columns:
        return np.zeros((len(logits), 0), np.float32)
    scores = torch.stack(columns, dim=1)
    if label_mode == "single":
        scores = (scores - torch.logsumexp(logits, dim=1, keepdim=True)).exp()
    else:
        scores = scores.sigmoid()
    return scores.cpu().numpy().astype(np.float32)


def predict_classes(probabilities: NDArray[np.float32], groups: Groups, threshold: float) -> tuple[int, ...]:
    """Class ids whose probability is at least `threshold`, ascending; () means background only."""
    ids = np.array(list(groups), np.int64)
    return tuple(sorted(int(class_id) for class_id in ids[probabilities >= threshold]))
