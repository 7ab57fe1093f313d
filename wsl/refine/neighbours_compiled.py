"""Averages over neighbours, compiled. Reached through `wsl.compiled.load_compiled`; see `neighbours`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from wsl.refine.neighbours import PAMR_EPSILON, PAR_EPSILON, PAR_WIDTH

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
                _add_eight(
                    total,
                    planes[plane],
                    weights[row, start : start + 8],
                    offsets[start : start + 8],
                    margin + first + row,
                    margin,
                    width,
                )


@_compile
def _add_eight(total: Floats, plane: Floats, weights: Floats, offsets: Ints, row: int, column: int, width: int) -> None:
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


@_compile
def weigh_pamr(padded: Floats, offsets: Ints, margin: int, first: int, out: Floats) -> None:
    """out float32 (h, P, W): PAMR's weights of the rows from `first` on; see `wsl.refine.pamr`.

    padded: float32 (C, H + 2m, W + 2m). offsets: as in `average`. All arrays contiguous.
    """
    channels, samples = len(padded), np.float32(9 * (len(offsets) // 8))
    scales = np.empty((channels, out.shape[2]), np.float32)
    total, squares = np.empty(out.shape[2], np.float32), np.empty(out.shape[2], np.float32)
    for row in range(out.shape[0]):
        place = margin + first + row
        for channel in range(channels):
            _sum_differences(padded[channel], offsets, place, margin, total, squares)
            scale = scales[channel]
            for x in range(len(scale)):
                # The pixel itself differs by 0 from itself, so it counts among the samples only.
                variance = (squares[x] - total[x] * total[x] / samples) / (samples - np.float32(1))
                deviation = np.sqrt(max(variance, np.float32(0)))
                scale[x] = np.float32(-1) / ((np.float32(0.1) * deviation + PAMR_EPSILON) * np.float32(channels))
        for index in range(len(offsets)):
            _add_distances(padded, scales, place, margin, offsets[index], out[row, index])
        _share(out[row])


@_compile
def weigh_par(padded: Floats, offsets: Ints, margin: int, first: int, places: Floats, out: Floats) -> None:
    """out float32 (h, P, W): PAR's weights of the rows from `first` on, plus places (P,); see `wsl.refine.par`.

    The other arguments are those of `weigh_pamr`.
    """
    channels, samples, width = len(padded), np.float32(len(offsets)), out.shape[2]
    scales = np.empty((channels, width), np.float32)
    total, squares = np.empty(width, np.float32), np.empty(width, np.float32)
    for row in range(out.shape[0]):
        place = margin + first + row
        for channel in range(channels):
            _sum_differences(padded[channel], offsets, place, margin, total, squares)
            for x in range(width):
                total[x] = total[x] / samples
            # A pixel unlike all its neighbours: only differences to their mean give their spread in float32.
            _sum_squares(padded[channel], offsets, place, margin, total, squares)
            scale = scales[channel]
            for x in range(width):
                deviation = np.sqrt(squares[x] / (samples - np.float32(1)))
                scale[x] = np.float32(1) / ((deviation + PAR_EPSILON) * PAR_WIDTH)
        for index in range(len(offsets)):
            _add_squares(padded, scales, place, margin, offsets[index], out[row, index])
        _subtract_highest(out[row])
        _share(out[row])
        for index in range(len(offsets)):
            weights = out[row, index]
            for x in range(width):
                weights[x] += places[index]


@_compile
def _sum_differences(plane: Floats, offsets: Ints, row: int, margin: int, total: Floats, squares: Floats) -> None:
    """Sum and sum of squares of the differences between a pixel and its neighbours, for one row."""
    total[:] = 0
    squares[:] = 0
    centre = plane[row, margin:]
    for index in range(len(offsets)):
        there = plane[row + offsets[index, 0], margin + offsets[index, 1] :]
        for x in range(len(total)):
            difference = there[x] - centre[x]
            total[x] += difference
            squares[x] += difference * difference


@_compile
def _sum_squares(plane: Floats, offsets: Ints, row: int, margin: int, mean: Floats, squares: Floats) -> None:
    """Sum of squares of the same differences less their mean."""
    squares[:] = 0
    centre = plane[row, margin:]
    for index in range(len(offsets)):
        there = plane[row + offsets[index, 0], margin + offsets[index, 1] :]
        for x in range(len(mean)):
            difference = there[x] - centre[x] - mean[x]
            squares[x] += difference * difference


@_compile
def _add_distances(padded: Floats, scales: Floats, row: int, margin: int, offset: Ints, out: Floats) -> None:
    """out = sum over the channels of scale * |difference to the neighbour|, for one row."""
    out[:] = 0
    for channel in range(len(padded)):
        centre = padded[channel, row, margin:]
        there = padded[channel, row + offset[0], margin + offset[1] :]
        scale = scales[channel]
        for x in range(len(out)):
            out[x] += abs(there[x] - centre[x]) * scale[x]


@_compile
def _add_squares(padded: Floats, scales: Floats, row: int, margin: int, offset: Ints, out: Floats) -> None:
    """out = - mean over the channels of (scale * difference to the neighbour)^2, for one row."""
    share = np.float32(-1) / np.float32(len(padded))
    out[:] = 0
    for channel in range(len(padded)):
        centre = padded[channel, row, margin:]
        there = padded[channel, row + offset[0], margin + offset[1] :]
        scale = scales[channel]
        for x in range(len(out)):
            distance = (there[x] - centre[x]) * scale[x]
            out[x] += distance * distance * share


@_compile
def _subtract_highest(rows: Floats) -> None:
    """Takes from rows (P, W) the highest of each column."""
    highest = rows[0].copy()
    for index in range(1, len(rows)):
        row = rows[index]
        for x in range(len(highest)):
            highest[x] = max(highest[x], row[x])
    for index in range(len(rows)):
        row = rows[index]
        for x in range(len(highest)):
            row[x] -= highest[x]


@_compile
def _share(rows: Floats) -> None:
    """rows (P, W) of values that are at most 0 become their softmax over P."""
    total = np.zeros(rows.shape[1], np.float32)
    for index in range(len(rows)):
        row = rows[index]
        for x in range(len(row)):
            row[x] = _exp(row[x])
            total[x] += row[x]
    for x in range(len(total)):
        total[x] = np.float32(1) / total[x]
    for index in range(len(rows)):
        row = rows[index]
        for x in range(len(row)):
            row[x] *= total[x]


@_compile
def _exp(value: np.float32) -> np.float32:
    """exp of a float32 at most 0, within 3e-7 of it; 0 below -87."""
    bounded = max(value, _LOWEST)
    shifted = bounded * _PER_LN2 + _SHIFT
    steps = shifted - _SHIFT
    rest = bounded - steps * _LN2_HIGH - steps * _LN2_LOW
    power = _TERMS[0]
    for term in _TERMS[1:]:
        power = power * rest + term
    scale = np.int32((np.int32(steps) + np.int32(127)) << np.int32(23)).view(np.float32)
    return power * scale if value >= _LOWEST else np.float32(0)
