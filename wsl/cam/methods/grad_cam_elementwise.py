"""Grad-CAM element-wise: M_c = sum_k relu(g_k A_k), position by position, with g = dy_c / dA. Pillai and Pirsiavash,
Explainable Models with Consistent Interpretations, AAAI 2021, section 3.

The ReLU stands inside the sum, so that no channel speaks against a class. Equal to LayerCAM where A >= 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wsl.cam.method import METHODS, GradientMethod


@METHODS.register("grad_cam_elementwise")
@dataclass(frozen=True)
class GradCamElementwise(GradientMethod):
    """Never negative."""

    per_position = True
    local = True

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return (gradient * activation).clamp(min=0).sum(1)
