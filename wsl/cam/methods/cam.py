"""CAM: M_c = sum_k w_ck A_k for pooled heads. Zhou et al., Learning Deep Features, CVPR 2016, eq. 2.

For a head that is pooling + linear, w_c is the row of the linear layer. For any other head after the pooling (a
LayerNorm, an MLP), w_c is the gradient of the class score with respect to the pooled vector, which is the same
number for the linear one. For a group of outputs the class score is the log-sum-exp, whose gradient is the
softmax-weighted mean of the rows. The bias is left out, as in the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from wsl.cam.method import METHODS, GradientMethod, mean_over_space, sum_of_channels
from wsl.errors import ModelError
from wsl.models.classifier import Classifier


@METHODS.register("cam")
@dataclass(frozen=True)
class Cam(GradientMethod):
    """Maps of a classifier whose head starts with global average pooling; ModelError for any other, or a layer."""

    needs = frozenset({"activations"})  # the gradient of a pooled head needs no graph of the network
    per_position = True
    local = True

    def check_fit(self, model: Classifier, layers: Sequence[str]) -> None:
        if not model.pooled:
            raise ModelError(
                f"cam.method=cam needs a classifier with a pooled head, but {model.name} has none: "
                "use cam.method=grad_cam, or model.head=pooled and train."
            )
        if layers:
            raise ModelError(
                f"cam.method=cam works on the pooled features, not on layer '{layers[0]}': use cam.method=grad_cam."
            )

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return sum_of_channels(mean_over_space(gradient), activation)
