"""Steps of a walk, compiled. Reached through `wsl.compiled.load_compiled`; see `power` and `stencil`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

# Products and sums may be joined into one rounding; the order of sums stays.
_compile = numba.njit(cache=True, nogil=True, fastmath={"contract"})
_BLOCK = 512  # cells whose sums stay in the first cache


@_compile
def run_series(
    weights: Floats, inverse: Floats, shifts: Ints, span: tuple[int, int], vectors: Floats, coefficients: Floats
) -> Floats:
    """float32 (K, L): sum over k of c_k T_k(P) of the vectors (K, L), T_0 = v, T_1 = P v, T_k = 2 P T_{k-1} - T_{k-2}.

    weights, inverse, shifts: as in `Stencil`; span: (first, last + 1) place with cells. All arrays contiguous.
    """
    result = vectors * coefficients[0]
    previous, current = vectors.copy(), np.zeros_like(vectors)
    if len(coefficients) > 1:
        _step(weights, inverse, shifts, span, previous, current, np.float32(1), np.float32(0))
    for order in range(1, len(coefficients)):
        if coefficients[order] > 0:
            result += coefficients[order] * current
        if order + 1 < len(coefficients):
            _step(weights, inverse, shifts, span, current, previous, np.float32(2), np.float32(1))
            previous, current = current, previous
    return result


@_compile
def run_steps(
    weights: Floats, inverse: Floats, shifts: Ints, span: tuple[int, int], vectors: Floats, steps: int
) -> Floats:
    """float32 (K, L): P^steps of the vectors (K, L), one step after the other."""
    current, other = vectors.copy(), np.zeros_like(vectors)
    for _ in range(steps):
        _step(weights, inverse, shifts, span, current, other, np.float32(1), np.float32(0))
        current, other = other, current
    return current


@_compile
def _step(
    weights: Floats,
    inverse: Floats,
    shifts: Ints,
    span: tuple[int, int],
    source: Floats,
    target: Floats,
    factor: np.float32,
    share: np.float32,
) -> None:
    """target = factor * P source - share * target, in blocks."""
    total = np.empty(_BLOCK, np.float32)
    for start in range(span[0], span[1], _BLOCK):
        stop = min(start + _BLOCK, span[1])
        scale = inverse[start:stop]
        for plane in range(len(source)):
            own, out = source[plane, start:stop], target[plane, start:stop]
            total[:] = 0
            for index in range(0, len(shifts), 2):
                _add_two(weights, shifts, source[plane], index, start, total[: stop - start])
            for place in range(stop - start):
                out[place] = factor * (own[place] + scale[place] * total[place]) - share * out[place]


@_compile
def _add_two(weights: Floats, shifts: Ints, source: Floats, index: int, start: int, total: Floats) -> None:
    """Adds how far the neighbours of a block at two shifts and their opposites are from it, by weight, to its sums.

    Differences keep a constant exactly; sums would drift by a rounding error in the same direction at each step.
    """
    stop = start + len(total)
    own = source[start:stop]
    one, two = shifts[index], shifts[index + 1]
    ahead_one, ahead_two = source[start + one : stop + one], source[start + two : stop + two]
    back_one, back_two = source[start - one : stop - one], source[start - two : stop - two]
    weight_one, weight_two = weights[index, start:stop], weights[index + 1, start:stop]
    return_one, return_two = weights[index, start - one : stop - one], weights[index + 1, start - two : stop - two]
    for place in range(len(total)):
        here = own[place]
        first = weight_one[place] * (ahead_one[place] - here) + return_one[place] * (back_one[place] - here)
        second = weight_two[place] * (ahead_two[place] - here) + return_two[place] * (back_two[place] - here)
        total[place] += first + second
