"""Grad-CAM: w_ck = mean_ij dy_c/dA_kij, M_c = sum_k w_ck A_k. Selvaraju et al., ICCV 2017, eq. 1 and 2.

The final ReLU belongs to the preset, like every other step after the weighted sum.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wsl.cam.method import METHODS, GradientMethod, mean_over_space, sum_of_channels


@METHODS.register("grad_cam")
@dataclass(frozen=True)
class GradCam(GradientMethod):
    """Equal to CAM on a pooled linear head."""

    per_position = True
    local = True

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return sum_of_channels(mean_over_space(gradient), activation)
