"""LayerCAM: M_c = sum_k relu(g_k) A_k, position by position, with g = dy_c / dA. Jiang et al., TIP 2021, eq. 6 and 7.

The ReLU around the sum belongs to the preset. Of several layers, eq. 9 takes the maximum of tanh(2 M / max M).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wsl.cam.method import METHODS, GradientMethod, is_constant_over_space, mean_over_space, sum_of_channels


@METHODS.register("layer_cam")
@dataclass(frozen=True)
class LayerCam(GradientMethod):
    """For early layers too: the gradient weighs each position on its own."""

    per_position = True
    local = True
    layer_fusion = "tanh_max"

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        if is_constant_over_space(gradient):
            return sum_of_channels(mean_over_space(gradient).clamp(min=0), activation)
        return (gradient.clamp(min=0) * activation).sum(1)
