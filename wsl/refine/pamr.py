"""Pixel-adaptive mask refinement (PAMR, Araslanov and Roth 2020), without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsl.compiled import load_compiled
from wsl.refine.neighbours import COMPILED, PAMR_EPSILON, Floats, NeighbourRefiner, cut_neighbours, list_offsets
from wsl.refine.refiner import REFINERS


def weigh_neighbours(padded: Floats, dilations: Sequence[int], first: int, out: Floats) -> None:
    """Writes PAMR's weights of some rows to out, float32 (h, P, W), contiguous; P = 8 * len(dilations), sum 1 over P.

    padded: float32 (C, H + 2m, W + 2m), contiguous, image in 0..255 with its edges repeated, m = max(dilations).
    w = softmax over the neighbours of mean over channels of -|I_i - I_j| / (1e-8 + 0.1 * std), where std is over 9
    samples for each dilation (the neighbours and, once for each dilation, the pixel itself), unbiased.
    """
    compiled = load_compiled(COMPILED)
    if compiled:
        compiled.weigh_pamr(padded, np.array(list_offsets(dilations)), max(dilations), first, out)
        return
    (height, _, width), margin = out.shape, max(dilations)
    centre = padded[:, margin + first : margin + first + height, margin : margin + width]
    distances = np.stack([there - centre for there in cut_neighbours(padded, dilations, first, (height, width))])
    # Differences to the pixel itself have the same spread as the samples.
    samples = np.float32(9 * len(dilations))
    variance = ((distances**2).sum(0) - distances.sum(0) ** 2 / samples) / (samples - 1)
    scale = -1 / (np.float32(0.1) * np.sqrt(np.maximum(variance, 0)) + PAMR_EPSILON)
    # No maximum is subtracted: the largest exponent of a pixel is never below -32, whatever the image
    # (the mean over neighbours of the squared |d| / std is at most 81 D / 8 D, so some neighbour's is below 3.2).
    weights = np.exp((np.abs(distances) * scale).mean(1))
    out[:] = np.moveaxis(weights / weights.sum(0), 0, 1)


@REFINERS.register("pamr")
@dataclass(frozen=True)
class Pamr(NeighbourRefiner):
    """PAMR on [background, scores]: weights from colour differences over the local spread of colour.

    Options: `NeighbourRefiner`. Weights sum to 1, so evidence stays in [0, 1].
    """

    def weigh(self, padded: Floats, first: int, out: Floats) -> None:
        weigh_neighbours(padded, self.dilations, first, out)
