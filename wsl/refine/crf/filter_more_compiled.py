"""Splat, blur and slice of two and four planes side by side, which share the look-up of vertices, compiled.

All of a vertex is read before any of it is written, so that the compiler moves the planes together.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from wsl.refine.crf.simplices import Floats

Indices = NDArray[np.uint32]
Axes = tuple[int, ...]

_MATHS = {"contract", "nsz", "arcp"}
_compile = numba.njit(cache=True, nogil=True, fastmath=_MATHS)
_HALF, _ZERO = np.float32(0.5), np.float32(0)


@_compile
def add_two_filtered(
    corners: Indices,
    weights: Floats,
    after: Indices,
    before: Indices,
    planes: Floats,
    gain: float,
    out: Floats,
    values: Floats,
    blurred: Floats,
    axes: Axes,
) -> None:
    """out += gain * planes filtered, float32 (2, N) each; see `add_one_filtered`. values, blurred: (M + 1, 2)."""
    _splat_two(corners, weights, planes, values, axes)
    for axis in range(len(axes)):
        _blur_two(after[axis], before[axis], values, blurred)
        values, blurred = blurred, values
    _slice_two(corners, weights, values, gain, out, axes)


@_compile
def _splat_two(corners: Indices, weights: Floats, planes: Floats, values: Floats, axes: Axes) -> None:
    for vertex in range(len(values)):
        values[vertex, 0] = values[vertex, 1] = _ZERO
    for pixel in range(planes.shape[1]):
        one, two = planes[0, pixel], planes[1, pixel]
        for corner in range(len(axes)):
            vertex, weight = corners[corner, pixel], weights[corner, pixel]
            first, second = values[vertex, 0] + weight * one, values[vertex, 1] + weight * two
            values[vertex, 0], values[vertex, 1] = first, second


@_compile
def _blur_two(after: Indices, before: Indices, values: Floats, blurred: Floats) -> None:
    for vertex in range(len(values)):
        right, left = after[vertex], before[vertex]
        first = values[vertex, 0] + _HALF * (values[right, 0] + values[left, 0])
        second = values[vertex, 1] + _HALF * (values[right, 1] + values[left, 1])
        blurred[vertex, 0], blurred[vertex, 1] = first, second


@_compile
def _slice_two(corners: Indices, weights: Floats, values: Floats, gain: float, out: Floats, axes: Axes) -> None:
    for pixel in range(out.shape[1]):
        first, second = _ZERO, _ZERO
        for corner in range(len(axes)):
            vertex, weight = corners[corner, pixel], weights[corner, pixel]
            first += weight * values[vertex, 0]
            second += weight * values[vertex, 1]
        out[0, pixel] += gain * first
        out[1, pixel] += gain * second


@_compile
def add_four_filtered(
    corners: Indices,
    weights: Floats,
    after: Indices,
    before: Indices,
    planes: Floats,
    gain: float,
    out: Floats,
    values: Floats,
    blurred: Floats,
    axes: Axes,
) -> None:
    """out += gain * planes filtered, float32 (4, N) each. values, blurred: (M + 1, 4)."""
    _splat_four(corners, weights, planes, values, axes)
    for axis in range(len(axes)):
        _blur_four(after[axis], before[axis], values, blurred)
        values, blurred = blurred, values
    _slice_four(corners, weights, values, gain, out, axes)


@_compile
def _splat_four(corners: Indices, weights: Floats, planes: Floats, values: Floats, axes: Axes) -> None:
    for vertex in range(len(values)):
        values[vertex, 0] = values[vertex, 1] = values[vertex, 2] = values[vertex, 3] = _ZERO
    for pixel in range(planes.shape[1]):
        one, two, three, four = planes[0, pixel], planes[1, pixel], planes[2, pixel], planes[3, pixel]
        for corner in range(len(axes)):
            vertex, weight = corners[corner, pixel], weights[corner, pixel]
            first, second = values[vertex, 0] + weight * one, values[vertex, 1] + weight * two
            third, fourth = values[vertex, 2] + weight * three, values[vertex, 3] + weight * four
            values[vertex, 0], values[vertex, 1], values[vertex, 2], values[vertex, 3] = first, second, third, fourth


@_compile
def _blur_four(after: Indices, before: Indices, values: Floats, blurred: Floats) -> None:
    for vertex in range(len(values)):
        right, left = after[vertex], before[vertex]
        first = values[vertex, 0] + _HALF * (values[right, 0] + values[left, 0])
        second = values[vertex, 1] + _HALF * (values[right, 1] + values[left, 1])
        third = values[vertex, 2] + _HALF * (values[right, 2] + values[left, 2])
        fourth = values[vertex, 3] + _HALF * (values[right, 3] + values[left, 3])
        blurred[vertex, 0], blurred[vertex, 1], blurred[vertex, 2], blurred[vertex, 3] = first, second, third, fourth


@_compile
def _slice_four(corners: Indices, weights: Floats, values: Floats, gain: float, out: Floats, axes: Axes) -> None:
    for pixel in range(out.shape[1]):
        first, second, third, fourth = _ZERO, _ZERO, _ZERO, _ZERO
        for corner in range(len(axes)):
            vertex, weight = corners[corner, pixel], weights[corner, pixel]
            first += weight * values[vertex, 0]
            second += weight * values[vertex, 1]
            third += weight * values[vertex, 2]
            fourth += weight * values[vertex, 3]
        out[0, pixel] += gain * first
        out[1, pixel] += gain * second
        out[2, pixel] += gain * third
        out[3, pixel] += gain * fourth
