"""HiResCAM: M_c = sum_k g_k A_k, position by position, with g = dy_c / dA. Draelos and Carin, 2020, eq. 4.

Without a ReLU the map adds up to the class score (less its bias) when the rest of the network is one linear layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wsl.cam.method import METHODS, GradientMethod, is_constant_over_space, mean_over_space, sum_of_channels


@METHODS.register("hires_cam")
@dataclass(frozen=True)
class HiResCam(GradientMethod):
    """Equal to Grad-CAM where the gradient is the same at every position (a pooled head)."""

    per_position = True
    local = True

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        if is_constant_over_space(gradient):
            return sum_of_channels(mean_over_space(gradient), activation)
        return (gradient * activation).sum(1)
