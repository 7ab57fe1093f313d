"""ShapleyCAM: M_c = sum_k w_ck A_k with w_ck = mean_ij (g - H A / 2)_kij. Cai, CAMs as Shapley explainers, 2025.

g = dy_c / dA, and H A is the Hessian of y_c with respect to A, multiplied by A: one more backward pass through what
follows the layer. Of a logit behind ReLUs and linear layers H is 0 and the map is Grad-CAM's: choose the target
logit_and_log_probability, as the paper does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.method import METHODS, CamMethod, mean_over_space, sum_of_channels
from wsl.cam.targets import Targets
from wsl.cam.trace import Trace


@METHODS.register("shapley_cam")
@dataclass(frozen=True)
class ShapleyCam(CamMethod):
    """Grad-CAM with second-order weights."""

    needs = frozenset({"gradients", "hessian"})
    per_position = True

    def compute_maps(self, trace: Trace, layer: str | None, targets: Targets) -> list[Tensor]:
        activations, gradients = trace.activation(layer), trace.gradients(layer, targets)
        products = trace.hessian_products(layer, targets)
        with torch.no_grad():
            return [
                sum_of_channels(mean_over_space(slope) - mean_over_space(bend) / 2, activations[row])
                for row, (slope, bend) in enumerate(zip(gradients, products, strict=True))
            ]
