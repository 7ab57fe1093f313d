"""Averages over neighbours, compiled. Reached through `wsl.compiled.load_compiled`; see `neighbours`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

# Products and sums may be joined into one rounding; the order of sums stays.
_compile = numba.njit(cache=True, nogil=True, fastmath={"contract"})

# exp(x) = 2^n * exp(r) with |r| <= ln(2) / 2: steps of ln(2) and the Taylor terms of exp(r) up to r^6 (error 2e-7).
_PER_LN2 = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693145751953125)
_LN2_LOW = np.float32(1.4286068203094172e-06)
_TERMS = tuple(np.float32(term) for term in (1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5, 1.0, 1.0))
_LOWEST = np.float32(-87.0)
_SHIFT = np.float32(12582912.0)  # 1.5 * 2^23: adding it rounds to a whole number


@_compile
def average(planes: Floats, weights: Floats, offsets: Ints, margin: int, first: int, out: Floats) -> None:
    """out float32 (L, h, W), rows from `first` on = sum over p of weights[:, p] * planes moved by offsets[p].

    planes: float32 (L, H + 2m, W + 2m), m = margin. weights: float32 (h, P, W), P a multiple of 8. offsets: int64
    (P, 2) as (dy, dx). All arrays contiguous.
    """
    width = out.shape[2]
    for row in range(out.shape[1]):
        for plane in range(len(planes)):
            total = out[plane, row]
            total[:] = 0
            for start in range(0, len(offsets), 8):
                _add_eight(total, planes[plane], weights[row, start : start + 8], offsets[start : start + 8],
                           margin + first + row, margin, width)


@_compile
def _add_eight(
    total: Floats, plane: Floats, weights: Floats, offsets: Ints, row: int, column: int, width: int
) -> None:
    a = plane[row + offsets[0, 0], column + offsets[0, 1] :]
    b = plane[row + offsets[1, 0], column + offsets[1, 1] :]
    c = plane[row + offsets[2, 0], column + offsets[2, 1] :]
    d = plane[row + offsets[3, 0], column + offsets[3, 1] :]
    e = plane[row + offsets[4, 0], column + offsets[4, 1] :]
    f = plane[row + offsets[5, 0], column + offsets[5, 1] :]
    g = plane[row + offsets[6, 0], column + offsets[6, 1] :]
    h = plane[row + offsets[7, 0], column + offsets[7, 1] :]
    for x in range(width):
        first = weights[0, x] * a[x] + weights[1, x] * b[x] + weights[2, x] * c[x] + weights[3, x] * d[x]
        second = weights[4, x] * e[x] + weights[5, x] * f[x] + weights[6, x] * g[x] + weights[7, x] * h[x]
        total[x] += first + second
