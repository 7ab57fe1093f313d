"""Grad-CAM++: M_c = sum_k w_ck A_k with w_ck = sum_ij alpha_kij relu(g_kij). Chattopadhyay et al., WACV 2018, eq. 19.

alpha_kij = g^2 / (2 g^2 + (sum_ab A_kab) g^3) with g = dy_c / dA. Where g is not 0 this is 1 / (2 + g sum_ab A_kab),
which needs no epsilon and does not underflow; where g is 0, alpha is 0. On a pooled linear head w_ck is
relu(W_ck) / (2 + W_ck mean(A_k)).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.method import METHODS, GradientMethod, is_constant_over_space, sum_of_channels


@METHODS.register("grad_cam_plus_plus")
@dataclass(frozen=True)
class GradCamPlusPlus(GradientMethod):
    """normalise_alpha: divide the alphas of positive gradients by their sum, per channel, as the authors' code does."""

    normalise_alpha: bool = False

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        positions = activation[0].numel()
        gradient = collapse(gradient)
        denominator = 2 + activation.sum((1, 2))[:, None, None] * gradient
        alphas = torch.where((gradient > 0) & (denominator != 0), 1 / denominator, 0)
        if self.normalise_alpha:
            total = alphas.mean((2, 3), keepdim=True) * positions
            alphas = torch.where(total != 0, alphas / total, 0)
        weights = (alphas * gradient.clamp(min=0)).mean((2, 3)) * positions
        return sum_of_channels(weights, activation)


def collapse(gradient: Tensor) -> Tensor:
    """(K, C, h, w) as it is, or (K, C, 1, 1) of a gradient that is the same at every position."""
    return gradient[:, :, :1, :1] if is_constant_over_space(gradient) else gradient
