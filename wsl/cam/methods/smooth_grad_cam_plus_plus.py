"""Smooth Grad-CAM++: Grad-CAM++ with derivatives averaged over noisy copies of the image. Omeiza et al., 2019, eq. 8.

D1, D2, D3 are the means of g, g^2 and g^3 over the copies; alpha = D2 / (2 D2 + (sum_ab A_kab) D3),
w_ck = sum_ij alpha relu(D1), and M_c = sum_k w_ck A_k with the activation A of the image without noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.method import METHODS, CamMethod, check_targets, sum_of_channels
from wsl.cam.methods.grad_cam_plus_plus import collapse
from wsl.cam.targets import Targets
from wsl.cam.trace import Trace
from wsl.errors import ConfigError


@METHODS.register("smooth_grad_cam_plus_plus")
@dataclass(frozen=True)
class SmoothGradCamPlusPlus(CamMethod):
    """samples: noisy copies. sigma, seed: of the normal noise, in units of the normalised input.

    All images of a batch get the same noise, so that a map does not depend on the batch that its image is in.
    """

    needs = frozenset({"gradients"})
    samples: int = 4
    sigma: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or self.sigma < 0:
            raise ConfigError(
                "cam.method=smooth_grad_cam_plus_plus: expected samples of at least 1 and sigma of at least 0, "
                f"but got {self.samples} and {self.sigma}."
            )

    def compute_maps(self, trace: Trace, layer: str | None, targets: Targets) -> list[Tensor]:
        check_targets(targets, len(trace.images))
        activations = trace.activation(layer)
        generator = torch.Generator().manual_seed(self.seed)
        sums: list[Tensor] = []
        for _ in range(self.samples):
            noise = torch.randn((1, *trace.images.shape[1:]), generator=generator) * self.sigma
            noisy = Trace(trace.model, trace.images + noise.to(trace.images), (layer,), self.needs, trace.precision)
            powers = [_powers(each) for each in noisy.gradients(layer, targets)]
            sums = [old + new for old, new in zip(sums, powers, strict=True)] if sums else powers
        with torch.no_grad():
            return [_combine(activations[row], each / self.samples) for row, each in enumerate(sums)]


def _powers(gradient: Tensor) -> Tensor:
    """g, g^2 and g^3, (3, K, C, h, w); float64, as the third power of a small gradient is below the least float32."""
    first = collapse(gradient).double()
    return torch.stack([first, first**2, first**3])


def _combine(activation: Tensor, means: Tensor) -> Tensor:
    first, second, third = means
    denominator = 2 * second + activation.double().sum((1, 2))[:, None, None] * third
    alphas = torch.where(denominator != 0, second / denominator, 0)
    weights = (alphas * first.clamp(min=0)).mean((2, 3)) * activation[0].numel()
    return sum_of_channels(weights.float(), activation)
