"""Large images in tiles: where they lie, and how their maps become one map in the image's own geometry."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

GRID = 32  # tiles start at multiples of it, a whole number of cells of every usual layer


@dataclass(frozen=True)
class Tile:
    """A part of the network's input, half-open, in pixels."""

    top: int
    left: int
    bottom: int
    right: int

    def cut(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 3, h, w)."""
        return images[..., self.top : self.bottom, self.left : self.right]


def plan_tiles(size: tuple[int, int], side: int, overlap: int) -> list[Tile]:
    """Tiles that cover an input of `size` (height, width), neighbours sharing `overlap` pixels or more.

    side: the longest side of a tile, rounded down to a multiple of `GRID` where several tiles share a direction, so
    that a tile is a whole number of cells.
    """
    rows, columns = (_spans(length, side, overlap) for length in size)
    return [Tile(top, left, bottom, right) for top, bottom in rows for left, right in columns]


def _spans(length: int, side: int, overlap: int) -> list[tuple[int, int]]:
    if length <= side:
        return [(0, length)]
    side = side // GRID * GRID
    step = max(GRID, (side - overlap) // GRID * GRID)
    starts = list(range(0, length - side, step))
    last = -(-(length - side) // GRID) * GRID  # the last tile ends with the image
    return [(start, start + side) for start in starts] + [(last, length)]


def stitch(maps: list[Tensor], tiles: list[Tile]) -> Tensor:
    """Maps (K, h, w) of the tiles -> one map (K, rows, columns) of the whole input.

    Each cell is taken from the tile in which it lies deepest: a cell further from a tile's border than the network can
    see gets the value that it has without tiles.
    """
    cells = _places(maps[0], tiles)
    rows = max(top + each.shape[1] for (top, _), each in zip(cells, maps, strict=True))
    columns = max(left + each.shape[2] for (_, left), each in zip(cells, maps, strict=True))
    whole = maps[0].new_zeros((len(maps[0]), rows, columns))
    depth = torch.full((rows, columns), -1.0)
    bottom, right = tiles[-1].bottom, tiles[-1].right
    for each, tile, (top, left) in zip(maps, tiles, cells, strict=True):
        inside = torch.minimum(
            _depth(each.shape[1], tile.top > 0, tile.bottom < bottom)[:, None],
            _depth(each.shape[2], tile.left > 0, tile.right < right)[None],
        )
        window = (slice(top, top + each.shape[1]), slice(left, left + each.shape[2]))
        deeper = inside > depth[window]
        depth[window] = torch.where(deeper, inside, depth[window])
        part = whole[:, window[0], window[1]]
        part.copy_(torch.where(deeper.to(each.device), each, part))
    return whole


def _places(first: Tensor, tiles: list[Tile]) -> list[tuple[int, int]]:
    """Row and column of each tile's first cell in the whole map; `first` (K, h, w) is the map of the first tile."""
    height, width = tiles[0].bottom - tiles[0].top, tiles[0].right - tiles[0].left
    return [(round(tile.top * first.shape[1] / height), round(tile.left * first.shape[2] / width)) for tile in tiles]


def _depth(cells: int, cut_before: bool, cut_behind: bool) -> Tensor:
    """Cells to the nearest cut; the image's own border is no cut."""
    index = torch.arange(cells, dtype=torch.float32)
    far = torch.full((cells,), torch.inf)
    return torch.minimum(index if cut_before else far, cells - 1 - index if cut_behind else far)
