"""Splat, blur and slice of one plane, compiled."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import carray  # type: ignore[attr-defined]
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from wsl.refine.crf.simplices import Floats

Indices = NDArray[np.uint32]
Axes = tuple[int, ...]

# Sums may be contracted and reordered in sign, but NaN and inf keep their meaning.
_MATHS = {"contract", "nsz", "arcp"}
_compile = numba.njit(cache=True, nogil=True, fastmath=_MATHS)
_BLOCK = 64
_HALF, _ZERO = np.float32(0.5), np.float32(0)


@intrinsic
def _point_to_lanes(typing_context: Any) -> Any:
    """A block of float32 on the stack. Nothing else can point there, so the compiler may read elsewhere while it
    writes here: only then are values at scattered places read by vectors of the processor."""
    pointer: Any = numba.types.CPointer

    def write_code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        allocate: Any = cgutils.alloca_once
        return allocate(builder, context.get_data_type(numba.float32), size=_BLOCK)

    return pointer(numba.float32)(), write_code


_make_lanes: Any = _point_to_lanes


@_compile
def add_one_filtered(
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
    """out += gain * planes filtered, float32 (1, N) each; the rest as in `Lattice`, all contiguous.

    values, blurred: float32 (M + 1, 1), room. axes: 0..d as a tuple, so that the compiler knows how long loops are.
    """
    here, there = values.reshape(-1), blurred.reshape(-1)
    _splat(corners, weights, planes[0], here, axes)
    for axis in range(len(axes)):
        _blur(after[axis], before[axis], here, there)
        here, there = there, here
    _slice(corners, weights, here, gain, out[0])


@_compile
def _splat(corners: Indices, weights: Floats, plane: Floats, values: Floats, axes: Axes) -> None:
    for vertex in range(len(values)):
        values[vertex] = _ZERO
    for pixel in range(len(plane)):
        value = plane[pixel]
        for corner in range(len(axes)):
            values[corners[corner, pixel]] += weights[corner, pixel] * value


@_compile
def _blur(after: Indices, before: Indices, values: Floats, blurred: Floats) -> None:
    around = carray(_make_lanes(), _BLOCK)
    whole = len(values) // _BLOCK * _BLOCK
    for start in range(0, whole, _BLOCK):
        right, left = after[start : start + _BLOCK], before[start : start + _BLOCK]
        here, there = values[start : start + _BLOCK], blurred[start : start + _BLOCK]
        for lane in range(_BLOCK):
            around[lane] = values[right[lane]] + values[left[lane]]
        for lane in range(_BLOCK):
            there[lane] = here[lane] + _HALF * around[lane]
    for vertex in range(whole, len(values)):
        blurred[vertex] = values[vertex] + _HALF * (values[after[vertex]] + values[before[vertex]])


@_compile
def _slice(corners: Indices, weights: Floats, values: Floats, gain: float, out: Floats) -> None:
    total = carray(_make_lanes(), _BLOCK)
    whole = len(out) // _BLOCK * _BLOCK
    for start in range(0, whole, _BLOCK):
        for lane in range(_BLOCK):
            total[lane] = _ZERO
        for corner in range(len(corners)):
            places, parts = corners[corner, start : start + _BLOCK], weights[corner, start : start + _BLOCK]
            for lane in range(_BLOCK):
                total[lane] += parts[lane] * values[places[lane]]
        target = out[start : start + _BLOCK]
        for lane in range(_BLOCK):
            target[lane] += gain * total[lane]
    for pixel in range(whole, len(out)):
        rest = _ZERO
        for corner in range(len(corners)):
            rest += weights[corner, pixel] * values[corners[corner, pixel]]
        out[pixel] += gain * rest
