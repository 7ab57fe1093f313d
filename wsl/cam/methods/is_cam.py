"""IS-CAM: Score-CAM whose scores are means along the way from no image to the masked one. Naidu et al., 2020.

s_ck = 1/N sum_{n=1..N} y_c(n/N * X * H_k), then as Score-CAM: the integral of the score over the strength of the mask.
torchcam multiplies by the running sum of n/N instead, up to (N + 1)/2 times the image; its maps therefore differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.masked import MaskedMethod, Masks, compute_mask_scores
from wsl.cam.method import METHODS
from wsl.cam.option_checks import check_count
from wsl.cam.targets import Target
from wsl.cam.trace import Trace


@METHODS.register("is_cam")
@dataclass(frozen=True)
class IsCam(MaskedMethod):
    """`samples` times the cost of Score-CAM; the maps of Score-CAM for one sample."""

    samples: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.samples, "samples")

    def score(self, trace: Trace, row: int, masks: Masks, targets: Sequence[Target]) -> Tensor:
        total = torch.zeros(len(masks), len(targets), device=masks.maps.device)
        for step in range(1, self.samples + 1):
            change = _scaling(step / self.samples)
            total += compute_mask_scores(trace, row, masks, targets, batch_size=self.batch_size, change=change)
        return total / self.samples


def _scaling(factor: float) -> Callable[[Tensor], Tensor]:
    return lambda masks: masks * factor
