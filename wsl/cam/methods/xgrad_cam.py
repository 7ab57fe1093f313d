"""XGrad-CAM: M_c = sum_k w_ck A_k, w_ck = sum_ij g_kij A_kij / sum_ij A_kij, g = dy_c / dA. Fu et al., BMVC 2020.

A channel whose activations sum up to exactly 0 has no such mean and gets weight 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.method import METHODS, GradientMethod, is_constant_over_space, mean_over_space, sum_of_channels


@METHODS.register("xgrad_cam")
@dataclass(frozen=True)
class XGradCam(GradientMethod):
    """Equal to Grad-CAM where the gradient is the same at every position (a pooled head)."""

    per_position = True

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        if is_constant_over_space(gradient):
            return sum_of_channels(mean_over_space(gradient), activation)
        total = activation.sum((1, 2))
        weights = torch.where(total != 0, (gradient * activation).sum((2, 3)) / total, 0)
        return sum_of_channels(weights, activation)
