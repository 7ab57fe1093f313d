"""Pixel-adaptive refinement (PAR, Ru et al. 2023, ToCo), without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsl.compiled import load_compiled
from wsl.refine.neighbours import (
    COMPILED,
    PAR_EPSILON,
    PAR_WIDTH,
    Floats,
    NeighbourRefiner,
    cut_neighbours,
    list_offsets,
)
from wsl.refine.refiner import REFINERS, check_at_least


def weigh_places(dilations: Sequence[int]) -> Floats:
    """Softmax float32 (P,) of -(distance / (std + 1e-8) / 0.3)^2 over the distances in pixels of the P neighbours."""
    distances = np.hypot(*np.array(list_offsets(dilations), np.float64).T)
    powers = np.exp(-((distances / (distances.std(ddof=1) + 1e-8) / 0.3) ** 2))
    shares: Floats = (powers / powers.sum()).astype(np.float32)
    return shares


def weigh_neighbours(padded: Floats, dilations: Sequence[int], first: int, places: Floats, out: Floats) -> None:
    """Writes PAR's weights of some rows to out, float32 (h, P, W), contiguous; P = 8 * len(dilations).

    padded: float32 (C, H + 2m, W + 2m), contiguous, image in 0..255 with its edges repeated, m = max(dilations).
    w = softmax over the neighbours of mean over channels of -(|I_i - I_j| / (std + 1e-8) / 0.3)^2, where std is over
    the neighbours without the pixel itself, unbiased; plus places, float32 (P,).
    """
    compiled = load_compiled(COMPILED)
    if compiled:
        compiled.weigh_par(padded, np.array(list_offsets(dilations)), max(dilations), first, places, out)
        return
    (height, _, width), margin = out.shape, max(dilations)
    centre = padded[:, margin + first : margin + first + height, margin : margin + width]
    distances = np.stack([there - centre for there in cut_neighbours(padded, dilations, first, (height, width))])
    scale = 1 / ((distances.std(0, ddof=1) + PAR_EPSILON) * PAR_WIDTH)
    logits = -((distances * scale) ** 2).mean(1)
    weights = np.exp(logits - logits.max(0))
    out[:] = np.moveaxis(weights / weights.sum(0), 0, 1) + places[:, None]


@REFINERS.register("par")
@dataclass(frozen=True)
class Par(NeighbourRefiner):
    """PAR on [background, scores]: weights from colour differences, plus a little from distances in the image.

    Options: `NeighbourRefiner`, and position_weight: weight of the distance term; the published 0.01 makes the weights
    of a pixel sum to 1.01, so all evidence grows by 1.01 in each iteration and may pass 1.
    """

    position_weight: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("refine.position_weight", self.position_weight, 0)

    @property
    def gain(self) -> float:
        return 1 + self.position_weight

    def weigh(self, padded: Floats, first: int, out: Floats) -> None:
        places = np.float32(self.position_weight) * weigh_places(self.dilations)
        weigh_neighbours(padded, self.dilations, first, places, out)
