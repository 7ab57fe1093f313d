"""Pixel-adaptive mask refinement (PAMR, Araslanov and Roth 2020), without training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError
from wsl.refine.refiner import REFINERS, Evidence, RefineInput, Refiner, check_at_least

if TYPE_CHECKING:
    import torch

NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))
# Images are 0..255 here; the paper's 1e-8 is for images in [0, 1].
EPSILON = 1e-8 * 255
# Rows are taken in strips so that the weights of a strip stay near the processor.
STRIP_PIXELS = 16384
# Up to this many bytes of weights are kept for all iterations; beyond, they are made again in each.
WEIGHT_BYTES = 512 * 2**20


def list_offsets(dilations: tuple[int, ...]) -> list[tuple[int, int]]:
    """(dy, dx) in pixels of the 8 neighbours at each dilation."""
    return [(dy * step, dx * step) for step in dilations for dy, dx in NEIGHBOURS]


def compute_weights(padded: torch.Tensor, rows: slice, width: int, dilations: tuple[int, ...]) -> torch.Tensor:
    """Neighbour weights (P, h, width) of some rows, summing to 1 over the P = 8 * len(dilations) neighbours.

    padded: float32 (3, H + 2m, width + 2m), the image in 0..255 with its edges repeated, m = max(dilations).
    w = softmax over the neighbours of mean over RGB of -|I_i - I_j| / (1e-8 + 0.1 * std), where std is over 9 samples
    for each dilation (the neighbours and, once for each dilation, the pixel itself), unbiased.
    """
    import torch

    margin, offsets = max(dilations), list_offsets(dilations)
    height = rows.stop - rows.start
    top = rows.start + margin
    centre = padded[:, top : top + height, margin : margin + width]
    distances = torch.stack(
        [padded[:, top + dy : top + dy + height, margin + dx : margin + dx + width] - centre for dy, dx in offsets]
    )
    # Differences to the pixel itself have the same spread as the samples, and integers up to here are exact.
    samples = 9 * len(dilations)
    square_sum, total = (distances**2).sum(0), distances.sum(0)
    deviation = ((square_sum - total**2 / samples) / (samples - 1)).clamp_(min=0).sqrt_()
    scale = (deviation.mul_(0.1).add_(EPSILON)).reciprocal_().neg_()
    # No maximum is subtracted: the largest exponent of a pixel is never below -32, whatever the image
    # (the mean over neighbours of the squared |d| / std is at most 81 D / 8 D, so some neighbour's is below 3.2).
    weights = torch.einsum("pchw,chw->phw", distances.abs_(), scale).div_(3).exp_()
    return weights.div_(weights.sum(0))


def _list_strips(height: int, width: int) -> list[slice]:
    rows = max(1, STRIP_PIXELS // width)
    return [slice(start, min(start + rows, height)) for start in range(0, height, rows)]


def _pad(planes: torch.Tensor, margin: int) -> torch.Tensor:
    import torch.nn.functional as functional

    return functional.pad(planes[None], (margin, margin, margin, margin), mode="replicate")[0]


def compute_pamr(image: NDArray[np.uint8], evidence: Evidence, iterations: int, dilations: tuple[int, ...]) -> Evidence:
    """Evidence float32 (L, H, W) after `iterations` of weighting each pixel by its look-alike neighbours.

    image: uint8 (H, W, 3). evidence: float32 (L, H, W). Edges are repeated outwards. Memory: the weights take
    32 * len(dilations) * H * W bytes (36 MB at 500x375 with 6 dilations); above 512 MB they are made again, strip by
    strip, in each iteration (same result, slower).
    """
    import torch

    height, width = image.shape[:2]
    margin, offsets = max(dilations), list_offsets(dilations)
    padded_image = _pad(torch.from_numpy(np.array(image, np.float32)).permute(2, 0, 1), margin)
    strips = _list_strips(height, width)
    keep = 4 * len(offsets) * height * width <= WEIGHT_BYTES
    kept = [compute_weights(padded_image, rows, width, dilations) for rows in strips] if keep else None

    def each_weights() -> Iterator[torch.Tensor]:
        if kept is not None:
            yield from kept
        else:
            for rows in strips:
                yield compute_weights(padded_image, rows, width, dilations)

    current = torch.from_numpy(np.array(evidence, np.float32))
    for _ in range(iterations):
        padded = _pad(current, margin)
        for rows, weights in zip(strips, each_weights(), strict=True):
            out = current[:, rows].zero_()
            for weight, (dy, dx) in zip(weights, offsets, strict=True):
                top, left = margin + rows.start + dy, margin + dx
                out.addcmul_(weight, padded[:, top : top + out.shape[1], left : left + width])
    return current.numpy()


def _resize(planes: Evidence, size: tuple[int, int], interpolation: int) -> Evidence:
    height, width = size
    resized = [cv2.resize(plane, (width, height), interpolation=interpolation) for plane in planes]
    return np.stack(resized).astype(np.float32)


@REFINERS.register("pamr")
@dataclass(frozen=True)
class Pamr(Refiner):
    """PAMR on [background, scores]; planes of one value stay as they are, for the weights of a pixel sum to 1.

    iterations: steps. dilations: distances of the 8 neighbours in pixels. scale: work at 1/scale of the image's size
    (image and evidence by area average, result enlarged bilinearly); 2 is four times faster.
    """

    iterations: int = 10
    dilations: tuple[int, ...] = (1, 2, 4, 8, 12, 24)
    scale: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "dilations", tuple(self.dilations))
        for name, value in (("iterations", self.iterations), ("scale", self.scale)):
            if not isinstance(value, int):
                raise ConfigError(f"refine.{name}: expected a whole number, but got {value}.")
            check_at_least(f"refine.{name}", value, 1)
        whole = all(isinstance(step, int) and step >= 1 for step in self.dilations)
        if not (self.dilations and whole and len(set(self.dilations)) == len(self.dilations)):
            raise ConfigError(
                f"refine.dilations: expected different whole numbers of at least 1, but got {list(self.dilations)}."
            )

    @property
    def needs(self) -> str:
        return "scores"

    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        evidence = inputs.stack()
        varies = np.ptp(evidence, axis=(1, 2)) > 0
        if varies.any():
            evidence[varies] = self._refine(inputs, evidence[varies])
        return evidence

    def _refine(self, inputs: RefineInput, planes: Evidence) -> Evidence:
        if self.scale == 1:
            return compute_pamr(inputs.image, planes, self.iterations, self.dilations)
        height, width = inputs.size
        small = max(1, round(height / self.scale)), max(1, round(width / self.scale))
        image = np.asarray(cv2.resize(inputs.image, small[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        refined = compute_pamr(image, _resize(planes, small, cv2.INTER_AREA), self.iterations, self.dilations)
        return _resize(refined, inputs.size, cv2.INTER_LINEAR)
