"""SS-CAM: Score-CAM whose scores are means over noisy masks. Wang et al., SS-CAM: Smoothed Score-CAM, 2020.

s_ck = 1/N sum_n y_c(X * (H_k + e_n)), e_n normal with standard deviation sigma at every pixel, then as Score-CAM. The
noise is added to the mask after it was stretched to [0, 1]. All channels of an image see the same N noise fields: the
differences between channels, which are all that counts, then vary less, and the chunk size cannot change the maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.masked import MaskedMethod, Masks, compute_mask_scores
from wsl.cam.method import METHODS
from wsl.cam.option_checks import check_count, check_positive
from wsl.cam.targets import Target
from wsl.cam.trace import Trace


@METHODS.register("ss_cam")
@dataclass(frozen=True)
class SsCam(MaskedMethod):
    """`samples` times the cost of Score-CAM. sigma: of the noise on a mask in [0, 1]; seed: of the noise fields."""

    samples: int = 35
    sigma: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.samples, "samples")
        check_positive(self.sigma, "sigma")

    def score(self, trace: Trace, row: int, masks: Masks, targets: Sequence[Target]) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        total = torch.zeros(len(masks), len(targets), device=masks.maps.device)
        for _ in range(self.samples):
            noise = self.sigma * torch.randn(masks.size, generator=generator)  # on the CPU: the same on every device
            change = _adding(noise.to(masks.maps.device))
            total += compute_mask_scores(trace, row, masks, targets, batch_size=self.batch_size, change=change)
        return total / self.samples


def _adding(noise: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda masks: masks + noise
