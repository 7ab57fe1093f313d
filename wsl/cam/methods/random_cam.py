"""Random CAM: M = sum_k w_k A_k with weights drawn from U(-1, 1). The control that any method should beat.

The weights are the same for every image, scale, flip and class, so only what the channels themselves show is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.method import METHODS, ActivationMethod, sum_of_channels


@METHODS.register("random_cam")
@dataclass(frozen=True)
class RandomCam(ActivationMethod):
    """seed: of the weights."""

    seed: int = 0

    def combine(self, activation: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        weights = torch.rand(1, len(activation), generator=generator) * 2 - 1
        return sum_of_channels(weights.to(activation), activation)[0]
