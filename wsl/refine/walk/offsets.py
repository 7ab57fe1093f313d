"""Which cells are neighbours, and which cells lie between two of them (AffinityNet, Ahn and Kwak 2018; IRN, 2019)."""

from __future__ import annotations

import functools

from wsl.errors import ConfigError

Offset = tuple[int, int]  # (dy, dx) in cells


@functools.cache
def list_half_offsets(radius: int) -> tuple[Offset, ...]:
    """Offsets nearer than `radius` cells in one half of the plane: dy > 0, or dy = 0 and dx > 0.

    radius >= 1: dy^2 + dx^2 < radius^2, so 5 has 34 offsets and 10 has 152; with their opposites and the cell itself
    that is the whole neighbourhood. The number is even. ConfigError for another radius.
    """
    if not isinstance(radius, int) or radius < 1:
        raise ConfigError(f"radius: expected a whole number of at least 1, but got {radius}.")
    return tuple(
        (dy, dx)
        for dy in range(radius)
        for dx in range(1 - radius, radius)
        if dy * dy + dx * dx < radius * radius and (dy > 0 or dx > 0)
    )


@functools.cache
def list_path(offset: Offset) -> tuple[Offset, ...]:
    """Cells between a cell and its neighbour at `offset`, both ends included, relative to the cell.

    IRN's rule: cells of the bounding box whose perpendicular distance to the line is below 1.
    """
    dy, dx = offset
    square = dy * dy + dx * dx
    rows, columns = range(min(dy, 0), max(dy, 0) + 1), range(min(dx, 0), max(dx, 0) + 1)
    return tuple((y, x) for y in rows for x in columns if (dy * x - dx * y) ** 2 < square)


def source_window(offset: Offset, size: tuple[int, int]) -> tuple[slice, slice]:
    """The cells (rows, columns) of a grid of `size` whose neighbour at `offset` (dy >= 0) is inside the grid."""
    (dy, dx), (height, width) = offset, size
    left = max(0, -dx)
    return slice(0, max(0, height - dy)), slice(left, max(left, width - max(0, dx)))


def move_window(window: tuple[slice, slice], offset: Offset) -> tuple[slice, slice]:
    """The window moved by `offset`; it must stay inside the grid."""
    (rows, columns), (dy, dx) = window, offset
    return slice(rows.start + dy, rows.stop + dy), slice(columns.start + dx, columns.stop + dx)
