"""Seg-EigenCAM: EigenCAM of |g| * A with a sign rule of its own. As defined in pytorch-grad-cam.

M_c = X_c v_1, X_c (h * w, C) = (|g_c| * A) centred per channel; -M_c if |min M_c| > |max M_c|.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.method import METHODS, GradientMethod
from wsl.cam.principal import compute_first_component


@METHODS.register("seg_eigen_cam")
@dataclass(frozen=True)
class SegEigenCam(GradientMethod):
    """One decomposition per class; the strongest position is always positive."""

    per_position = True

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        maps = [_combine_one(each.abs() * activation) for each in gradient]
        return torch.stack(maps) if maps else activation[:0]


def _combine_one(values: Tensor) -> Tensor:
    found = compute_first_component(values)
    return torch.where(found.amin().abs() > found.amax().abs(), -found, found)
