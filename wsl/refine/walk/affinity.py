"""How alike near cells of a grid are: the record that every local affinity gives and every walk takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError, suggest
from wsl.refine.walk.offsets import Offset, list_half_offsets, source_window

BORDERS = ("full", "published")


@dataclass(frozen=True)
class Affinity:
    """Affinities A of the cells of a grid (h, w) to their neighbours nearer than `radius`; A is symmetric, A_ii = 1.

    values: float32 (M, h, w), finite, >= 0: plane m has A of each cell and its neighbour at `offsets[m]`, 0 where that
    is outside the grid. DataError for another shape or values.
    """

    values: NDArray[np.float32]
    radius: int

    def __post_init__(self) -> None:
        count = len(self.offsets)
        values = np.ascontiguousarray(self.values, np.float32)
        if values.ndim != 3 or len(values) != count or 0 in values.shape[1:]:
            raise DataError(f"affinity: expected ({count}, h, w) for radius {self.radius}, but got {values.shape}.")
        if not np.isfinite(values).all() or values.min(initial=0) < 0:
            raise DataError("affinity: expected finite values of at least 0; look for NaN in what it was made of.")
        object.__setattr__(self, "values", values)
        for plane, offset in zip(values, self.offsets, strict=True):
            if np.count_nonzero(plane) > np.count_nonzero(plane[source_window(offset, self.size)]):
                raise DataError(f"affinity: expected 0 where the neighbour at {offset} is outside the grid.")

    @property
    def offsets(self) -> tuple[Offset, ...]:
        """(dy, dx) in cells of each plane; see `list_half_offsets`."""
        return list_half_offsets(self.radius)

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the grid."""
        return self.values.shape[1], self.values.shape[2]


def cut_borders(affinity: Affinity, borders: str) -> Affinity:
    """`full`: the affinity as it is. `published`: AffinityNet's, where border cells are never the source of a pair.

    There, pairs begin at cells at least radius - 1 away from the left, right and bottom border, so cells near these
    borders have fewer neighbours, and two cells in a bottom corner have none in common.
    """
    if borders not in BORDERS:
        raise ConfigError(f"borders: unknown value '{borders}'.{suggest(borders, BORDERS)}")
    if borders == "full":
        return affinity
    (height, width), margin = affinity.size, affinity.radius - 1
    values = np.zeros_like(affinity.values)
    rows, columns = slice(0, max(0, height - margin)), slice(margin, max(margin, width - margin))
    values[:, rows, columns] = affinity.values[:, rows, columns]
    return Affinity(values, affinity.radius)
