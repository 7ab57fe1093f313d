"""EigenGradCAM: EigenCAM of g * A, the activation times the gradient of the class score. From pytorch-grad-cam.

M_c = X_c v_1, X_c (h * w, C) = (g_c * A) centred per channel. The sign is the one that correlates with sum_k g_ck A_k.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.method import METHODS, GradientMethod
from wsl.cam.principal import compute_first_component, turn_to_mean


@METHODS.register("eigen_grad_cam")
@dataclass(frozen=True)
class EigenGradCam(GradientMethod):
    """One decomposition per class."""

    per_position = True

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        maps = [_combine_one(each * activation) for each in gradient]  # one at a time: K products would not fit
        return torch.stack(maps) if maps else activation[:0]


def _combine_one(values: Tensor) -> Tensor:
    return turn_to_mean(compute_first_component(values), values)
