"""Evidence averaged over the look-alike neighbours of each pixel: what PAMR and PAR share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.compiled import load_compiled
from wsl.errors import ConfigError, DataError
from wsl.refine.refiner import Evidence, RefineInput, Refiner, check_at_least

NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))
COMPILED = "wsl.refine.neighbours_compiled"
# Rows are taken in strips so that the weights of a strip stay near the processor.
STRIP_PIXELS = 16384
# Up to this many bytes of weights are kept for all iterations; beyond, they are made again in each.
WEIGHT_BYTES = 512 * 2**20

# Images are 0..255 here; PAMR's 1e-8 is for images in [0, 1]. PAR is given 0..255 by its authors.
PAMR_EPSILON = np.float32(1e-8 * 255)
PAR_EPSILON = np.float32(1e-8)
PAR_WIDTH = np.float32(0.3)
# Squares of differences, summed up, stay far below the largest float32.
LARGEST_BAND = 1e9

Floats = NDArray[np.float32]


def list_offsets(dilations: Sequence[int]) -> list[tuple[int, int]]:
    """(dy, dx) in pixels of the 8 neighbours at each dilation."""
    return [(dy * step, dx * step) for step in dilations for dy, dx in NEIGHBOURS]


def pad_edges(planes: Floats, margin: int) -> Floats:
    """float32 (C, H + 2m, W + 2m): planes (C, H, W) with their edges repeated `margin` = m pixels outwards."""
    border = (margin, margin, margin, margin)
    return np.stack([cv2.copyMakeBorder(plane, *border, borderType=cv2.BORDER_REPLICATE) for plane in planes])


def cut_neighbours(padded: Floats, dilations: Sequence[int], first: int, size: tuple[int, int]) -> Iterator[Floats]:
    """Views (C, h, W) of the neighbours of rows `first` to `first` + h, in the order of `list_offsets`.

    padded: float32 (C, H + 2m, W + 2m), m = max(dilations). size: (h, W).
    """
    height, width = size
    margin = max(dilations)
    for dy, dx in list_offsets(dilations):
        top, left = margin + first + dy, margin + dx
        yield padded[:, top : top + height, left : left + width]


def add_weighted(padded: Floats, weights: Floats, dilations: Sequence[int], first: int) -> Floats:
    """float32 (L, h, W): the weighted sums over the neighbours of rows `first` to `first` + h.

    padded: float32 (L, H + 2m, W + 2m), m = max(dilations), contiguous. weights: float32 (h, P, W), contiguous.
    """
    height, _, width = weights.shape
    out = np.zeros((len(padded), height, width), np.float32)
    compiled = load_compiled(COMPILED)
    if compiled:
        compiled.average(padded, weights, np.array(list_offsets(dilations)), max(dilations), first, out)
        return out
    for index, there in enumerate(cut_neighbours(padded, dilations, first, (height, width))):
        out += weights[:, index] * there
    return out


@dataclass(frozen=True)
class NeighbourRefiner(Refiner):
    """Repeated average over the 8 neighbours at each dilation, weighted by likeness to the pixel; edges repeated.

    iterations: steps. dilations: distances of the 8 neighbours in pixels. scale: work at 1/scale of the image's size
    (image and evidence by area average, result enlarged bilinearly); 2 is four times faster. Planes of one value keep
    one value. Memory: the weights take 32 * len(dilations) * H * W bytes (36 MB at 500x375 with 6 dilations); above
    512 MB they are made again, strip by strip, in each iteration (same result, slower). Raises DataError for bands
    beyond 1e9, whose squares do not fit.
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

    @property
    def gain(self) -> float:
        """Sum of the weights of a pixel."""
        return 1.0

    @abstractmethod
    def weigh(self, padded: Floats, first: int, out: Floats) -> None:
        """Writes the weights of rows `first` to `first` + h to out, float32 (h, P, W), P = 8 * len(dilations).

        padded: float32 (C, H + 2m, W + 2m), image or bands on the scale of 0..255, edges repeated m = max(dilations).
        """

    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        return self.compute_all([inputs])[0]

    def compute_all(self, inputs: Sequence[RefineInput]) -> list[Evidence]:
        stacks = [one.stack() for one in inputs]
        different: list[Floats] = []
        for plane in (plane for stack in stacks for plane in stack if np.ptp(plane) > 0):
            if not any(np.array_equal(plane, known) for known in different):
                different.append(plane.copy())
        refined: Sequence[Floats] = [*(self._refine(inputs[0].features, np.stack(different)) if different else ())]
        for plane in (plane for stack in stacks for plane in stack):
            same = [index for index, known in enumerate(different) if np.array_equal(plane, known)]
            plane[:] = refined[same[0]] if same else plane * np.float32(self.gain**self.iterations)
        return stacks

    def _refine(self, features: NDArray[Any], planes: Floats) -> Floats:
        looks = np.ascontiguousarray(np.moveaxis(features, 2, 0), np.float32)
        largest = float(np.abs(looks).max())
        if largest > LARGEST_BAND:
            raise DataError(f"bands: expected values on the scale of 0..255, but got {largest:g}; scale them first.")
        if self.scale == 1:
            return self.average(looks, planes)
        height, width = planes.shape[1:]
        small = max(1, round(height / self.scale)), max(1, round(width / self.scale))
        refined = self.average(_resize(looks, small, cv2.INTER_AREA), _resize(planes, small, cv2.INTER_AREA))
        return _resize(refined, (height, width), cv2.INTER_LINEAR)

    def average(self, looks: Floats, planes: Floats) -> Floats:
        """float32 (L, H, W): `planes` of that shape after all iterations, guided by looks, float32 (C, H, W)."""
        (height, width), margin = planes.shape[1:], max(self.dilations)
        looks, strips = pad_edges(looks, margin), _list_strips(height, width)
        keep = 32 * len(self.dilations) * height * width <= WEIGHT_BYTES
        kept = [self._weigh_strip(looks, rows, width) for rows in strips] if keep else []
        current = planes.astype(np.float32)
        for _ in range(self.iterations):
            padded = pad_edges(current, margin)
            for index, rows in enumerate(strips):
                weights = kept[index] if keep else self._weigh_strip(looks, rows, width)
                current[:, rows] = add_weighted(padded, weights, self.dilations, rows.start)
        return current

    def _weigh_strip(self, padded: Floats, rows: slice, width: int) -> Floats:
        weights = np.empty((rows.stop - rows.start, 8 * len(self.dilations), width), np.float32)
        self.weigh(padded, rows.start, weights)
        return weights


def _list_strips(height: int, width: int) -> list[slice]:
    rows = max(1, STRIP_PIXELS // width)
    return [slice(start, min(start + rows, height)) for start in range(0, height, rows)]


def _resize(planes: Floats, size: tuple[int, int], interpolation: int) -> Floats:
    height, width = size
    resized = [cv2.resize(plane, (width, height), interpolation=interpolation) for plane in planes]
    return np.stack(resized).astype(np.float32)
