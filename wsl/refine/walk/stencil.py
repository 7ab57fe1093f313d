"""The transition of a walk, laid out so that every neighbour of a run of cells is a run of cells too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.refine.walk.affinity import Affinity

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Stencil:
    """P = A^beta / sums, A symmetric, half of it stored.

    Cells lie in one line of length L, row after row, with `margin` empty cells behind each row and margin + 1 empty
    rows at both ends. weights: float32 (M, L), A^beta of each cell and the one `shifts[m]` places on. inverse: float32
    (L,), 1 / the sum of a cell's weights (its own 1 among them), 0 in the margin. shifts: int64 (M,), M even.
    """

    weights: Floats
    inverse: Floats
    shifts: NDArray[np.int64]
    size: tuple[int, int]
    margin: int

    @property
    def span(self) -> slice:
        """The part of the line that has cells."""
        width = self.size[1] + self.margin
        return slice((self.margin + 1) * width, (self.margin + 1 + self.size[0]) * width)

    def lay_out(self, planes: NDArray[Any]) -> Floats:
        """float32 (K, L) of planes (K, h, w); 0 in the margin."""
        (height, width), margin = self.size, self.margin
        line = np.zeros((len(planes), height + 2 * margin + 2, width + margin), np.float32)
        line[:, margin + 1 : margin + 1 + height, :width] = planes
        return line.reshape(len(planes), line.shape[1] * line.shape[2])

    def take_back(self, line: Floats) -> Floats:
        """float32 (K, h, w) of (K, L)."""
        (height, width), margin = self.size, self.margin
        planes = line.reshape(len(line), height + 2 * margin + 2, width + margin)
        return np.ascontiguousarray(planes[:, margin + 1 : margin + 1 + height, :width])


# Weights below this never show beside a cell's own 1, but arithmetic on numbers near 1e-38 is slow.
LEAST_WEIGHT = np.float32(1e-20)


def build_stencil(affinity: Affinity, beta: float) -> Stencil:
    """The stencil of A^beta (each element; beta > 0) divided by the sums of its columns."""
    (height, width), margin = affinity.size, affinity.radius - 1
    shifts = np.array([dy * (width + margin) + dx for dy, dx in affinity.offsets], np.int64)
    line = np.zeros((len(shifts), height + 2 * margin + 2, width + margin), np.float32)
    inner = line[:, margin + 1 : margin + 1 + height, :width]
    np.power(affinity.values, np.float32(beta), out=inner)
    np.multiply(inner, inner >= LEAST_WEIGHT, out=inner)
    weights = line.reshape(len(shifts), line.shape[1] * line.shape[2])
    stencil = Stencil(weights, np.zeros(weights.shape[1], np.float32), shifts, (height, width), margin)
    cells = stencil.lay_out(np.ones((1, height, width)))[0] > 0
    stencil.inverse[cells] = 1 / _sum_weights(stencil)[cells]
    return stencil


def _sum_weights(stencil: Stencil) -> NDArray[np.float64]:
    start, stop = stencil.span.start, stencil.span.stop
    sums = np.ones(stencil.weights.shape[1])  # float64: an error here would come back in every step
    for weights, shift in zip(stencil.weights, stencil.shifts.tolist(), strict=True):
        sums[start:stop] += weights[start:stop]
        sums[start:stop] += weights[start - shift : stop - shift]
    return sums
