"""Affinity by the strongest edge between two cells (IRN, Ahn et al. 2019, equation 4), on any edge map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError
from wsl.refine.walk.affinity import Affinity
from wsl.refine.walk.offsets import list_half_offsets, list_path, move_window, source_window


def check_edges(edges: NDArray[Any]) -> None:
    """Raises DataError unless `edges` is a finite floating (h, w) array in [0, 1] with at least one cell."""
    if edges.ndim != 2 or edges.size == 0 or not np.issubdtype(edges.dtype, np.floating):
        raise DataError(f"edges: expected floating (h, w), but got {edges.dtype} {edges.shape}.")
    if not (edges.min() >= 0 and edges.max() <= 1):  # NaN fails both
        raise DataError(f"edges: expected values in [0, 1], but got {edges.min():g}..{edges.max():g}.")


def compute_path_affinity(edges: NDArray[Any], radius: int = 5) -> Affinity:
    """A_ij = 1 - max of the edges on the path between i and j, both ends included; see `list_path`.

    edges: floating (h, w) in [0, 1], 1 = a certain boundary. Outside the grid the edge is 1, so A is 0 there.
    Raises DataError for other edges.
    """
    check_edges(edges)
    passable = 1 - np.asarray(edges, np.float32)
    offsets = list_half_offsets(radius)
    values = np.zeros((len(offsets), *passable.shape), np.float32)
    for plane, offset in zip(values, offsets, strict=True):
        window = source_window(offset, passable.shape)
        lowest = plane[window]
        first, *others = list_path(offset)
        lowest[...] = passable[move_window(window, first)]
        for cell in others:
            np.minimum(lowest, passable[move_window(window, cell)], out=lowest)
    return Affinity(values, radius)
