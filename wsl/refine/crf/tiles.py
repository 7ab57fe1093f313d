"""Large images in overlapping tiles: bounded memory, results blended over the overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError
from wsl.refine.inputs import Evidence, RefineInput

Window = tuple[slice, slice]  # rows, columns

# Lattices take about 150 bytes per pixel; images above this many pixels are tiled without being asked.
UNTILED_PIXELS = 4_000_000
AUTO_TILE = 1536


@dataclass(frozen=True)
class Tiling:
    """side: longest side of a tile in pixels. overlap: pixels that neighbouring tiles share, at least; < side."""

    side: int
    overlap: int

    def __post_init__(self) -> None:
        if self.side < 2 or not 0 <= self.overlap < self.side:
            raise ConfigError(
                f"tile, tile_overlap: expected a tile of at least 2 pixels and an overlap below it, but got "
                f"{self.side} and {self.overlap}."
            )

    def list_windows(self, size: tuple[int, int]) -> list[Window]:
        """Windows that cover an image of `size` (height, width), as equal as they can be, row by row."""
        rows, columns = (self._list_spans(length) for length in size)
        return [(row, column) for row in rows for column in columns]

    def _list_spans(self, length: int) -> list[slice]:
        if length <= self.side:
            return [slice(0, length)]
        count = -(-(length - self.overlap) // (self.side - self.overlap))
        starts = np.rint(np.linspace(0, length - self.side, count)).astype(int).tolist()
        return [slice(start, start + self.side) for start in starts]


def choose_tiling(size: tuple[int, int], tile: int | None, overlap: int | None, reach: float) -> Tiling | None:
    """The tiling of an image, or None when it is refined in one piece.

    tile: longest side of a tile in pixels; None = whole images up to 4 million pixels, tiles of 1536 beyond. overlap:
    in pixels; None = twice `reach` (the widest kernel in pixels), and half a tile at most.
    """
    if tile is None:
        if size[0] * size[1] <= UNTILED_PIXELS:
            return None
        tile = AUTO_TILE
    if overlap is None:
        overlap = min(int(np.ceil(2 * reach)), tile // 2)
    return Tiling(tile, overlap)


def crop_input(inputs: RefineInput, window: Window) -> RefineInput:
    """What is known of the part of the image inside `window`."""
    return replace(
        inputs,
        image=inputs.image[window],
        scores=inputs.scores[:, window[0], window[1]],
        background=inputs.background[window],
        seeds=None if inputs.seeds is None else inputs.seeds[window],
        bands=None if inputs.bands is None else inputs.bands[window],
        guide=None,
    )


class Blend:
    """Collects the tiles of one image: their mean, each weighted less the nearer its edge is, over `overlap` pixels."""

    def __init__(self, labels: int, size: tuple[int, int], overlap: int) -> None:
        self._total = np.zeros((labels, *size), np.float32)
        self._mass = np.zeros(size, np.float32)
        self._overlap = overlap

    def add(self, window: Window, values: Evidence) -> None:
        """values: float32 (labels, h, w) of the pixels in `window`."""
        weight = compute_weights(window, self._mass.shape, self._overlap)
        self._total[:, window[0], window[1]] += values * weight
        self._mass[window] += weight

    def finish(self) -> Evidence:
        """float32 (labels, H, W); all windows have been added."""
        self._total /= self._mass
        return self._total


def compute_weights(window: Window, size: Sequence[int], overlap: int) -> NDArray[np.float32]:
    """float32 (h, w) in (0, 1]: rises from a tile's edge over `overlap` pixels, but not at the image's own edge."""
    rows, columns = (_ramp(span, length, overlap) for span, length in zip(window, size, strict=True))
    return np.multiply.outer(rows, columns)


def _ramp(span: slice, length: int, overlap: int) -> NDArray[np.float32]:
    ramp = np.ones(span.stop - span.start, np.float32)
    rise = np.arange(1, overlap + 1, dtype=np.float32)[: len(ramp)] / np.float32(overlap + 1)
    if span.start > 0:
        ramp[: len(rise)] = np.minimum(ramp[: len(rise)], rise)
    if span.stop < length:
        ramp[::-1][: len(rise)] = np.minimum(ramp[::-1][: len(rise)], rise)
    return ramp
