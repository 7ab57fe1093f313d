"""Splat, blur and slice, one plane at a time, compiled."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from wsl.refine.crf.simplices import Floats

Indices = NDArray[np.uint32]

# Sums may be contracted and reordered in sign, but NaN and inf keep their meaning.
_MATHS = {"contract", "nsz", "arcp"}
_compile = numba.njit(cache=True, nogil=True, fastmath=_MATHS)
_HALF = np.float32(0.5)


@_compile
def add_filtered(
    corners: Indices, weights: Floats, after: Indices, before: Indices, planes: Floats, gain: float, out: Floats
) -> None:
    """out += gain * planes filtered, float32 (C, N) each; the rest as in `Lattice`, all contiguous."""
    values, blurred = np.empty(after.shape[1], np.float32), np.empty(after.shape[1], np.float32)
    paired = len(planes) // 2 * 2
    for plane in range(0, paired, 2):
        _add_pair(corners, weights, after, before, planes[plane : plane + 2], gain, out[plane : plane + 2])
    for plane in range(paired, len(planes)):
        values[:] = np.float32(0)
        _splat(corners, weights, planes[plane], values)
        for axis in range(len(after)):
            _blur(after[axis], before[axis], values, blurred)
            values, blurred = blurred, values
        _slice(corners, weights, values, gain, out[plane])


@_compile
def _splat(corners: Indices, weights: Floats, plane: Floats, values: Floats) -> None:
    for pixel in range(len(plane)):
        value = plane[pixel]
        for corner in range(corners.shape[1]):
            values[corners[pixel, corner]] += weights[pixel, corner] * value


@_compile
def _blur(after: Indices, before: Indices, values: Floats, blurred: Floats) -> None:
    for vertex in range(len(values)):
        blurred[vertex] = values[vertex] + _HALF * (values[after[vertex]] + values[before[vertex]])


@_compile
def _slice(corners: Indices, weights: Floats, values: Floats, gain: float, out: Floats) -> None:
    for pixel in range(len(out)):
        total = np.float32(0)
        for corner in range(corners.shape[1]):
            total += weights[pixel, corner] * values[corners[pixel, corner]]
        out[pixel] += gain * total


@_compile
def _add_pair(
    corners: Indices, weights: Floats, after: Indices, before: Indices, planes: Floats, gain: float, out: Floats
) -> None:
    """The same for two planes side by side, which share the look-up of corners and neighbours."""
    values, blurred = np.zeros((after.shape[1], 2), np.float32), np.empty((after.shape[1], 2), np.float32)
    for pixel in range(planes.shape[1]):
        one, two = planes[0, pixel], planes[1, pixel]
        for corner in range(corners.shape[1]):
            vertex, weight = corners[pixel, corner], weights[pixel, corner]
            first, second = values[vertex, 0] + weight * one, values[vertex, 1] + weight * two
            values[vertex, 0], values[vertex, 1] = first, second
    for axis in range(len(after)):
        for vertex in range(len(values)):
            right, left = after[axis, vertex], before[axis, vertex]
            first = values[vertex, 0] + _HALF * (values[right, 0] + values[left, 0])
            second = values[vertex, 1] + _HALF * (values[right, 1] + values[left, 1])
            blurred[vertex, 0], blurred[vertex, 1] = first, second
        values, blurred = blurred, values
    for pixel in range(planes.shape[1]):
        first, second = np.float32(0), np.float32(0)
        for corner in range(corners.shape[1]):
            vertex, weight = corners[pixel, corner], weights[pixel, corner]
            first += weight * values[vertex, 0]
            second += weight * values[vertex, 1]
        out[0, pixel] += gain * first
        out[1, pixel] += gain * second
