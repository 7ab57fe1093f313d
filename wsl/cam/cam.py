"""CAM: M_c = sum_k w_ck A_k for pooled heads. Zhou et al., Learning Deep Features, CVPR 2016, eq. 2.

For a head that is pooling + linear, w_c is the row of the linear layer. For any other head after the pooling (a
LayerNorm, an MLP), w_c is the gradient of the class score with respect to the pooled vector, which is the same
number for the linear one. For a group of outputs the class score is the log-sum-exp, whose gradient is the
softmax-weighted mean of the rows. The bias is left out, as in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsl.cam.method import METHODS, ClassGroups, Targets
from wsl.errors import ModelError
from wsl.models.classifier import Classifier


class PooledMaps:
    """Features (B, C, h, w) and logits of one forward; each further class costs one weighted sum."""

    def __init__(self, model: Classifier, features: Tensor) -> None:
        self.model, self.features = model, features
        self.pooled = features.float().mean((2, 3))
        self.logits: Tensor = model.pooled_head(features.mean((2, 3)))
        linear = model.linear_head()
        self.weight = None if linear is None else linear.weight.float()

    def maps(self, targets: Targets) -> list[Tensor]:
        """Signed maps (K_b, h, w) per image."""
        weigh = self._gradient_weights if self.weight is None else self._linear_weights
        height, width = self.features.shape[2:]
        with torch.no_grad():
            features = self.features.float().flatten(2)
            return [
                (weigh(row, groups) @ features[row]).reshape(-1, height, width) for row, groups in enumerate(targets)
            ]

    def _linear_weights(self, row: int, groups: ClassGroups) -> Tensor:
        weight = self.weight if self.weight is not None else self.pooled[:0]
        rows = [self.logits[row, list(group)].float().softmax(0) @ weight[list(group)] for group in groups]
        return torch.stack(rows) if rows else weight[:0]

    def _gradient_weights(self, row: int, groups: ClassGroups) -> Tensor:
        if not groups:
            return self.pooled[:0]
        with torch.enable_grad():
            pooled = self.pooled[row].expand(len(groups), -1).clone().requires_grad_()
            logits = self.model.pooled_head(pooled)
            scores = [torch.logsumexp(logits[k, list(group)], 0) for k, group in enumerate(groups)]
            (weights,) = torch.autograd.grad(torch.stack(scores).sum(), pooled)
        return weights


@METHODS.register("cam")
def cam(model: Classifier, images: Tensor, layer: str | None = None) -> PooledMaps:
    """Maps of a classifier whose head starts with global average pooling; ModelError for any other."""
    if not model.pooled:
        raise ModelError(
            f"cam.method=cam needs a classifier with a pooled head, but {model.name} has none: "
            "use cam.method=grad_cam, or model.head=pooled and train."
        )
    if layer is not None:
        raise ModelError(
            f"cam.method=cam works on the pooled features, not on layer '{layer}': use cam.method=grad_cam."
        )
    with torch.no_grad():
        return PooledMaps(model, model.features(images))
