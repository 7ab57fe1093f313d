"""Softmax over labels from messages, compiled.

All that calls each other is in one file: the cache of numba sees changes of a function's own file only.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from wsl.refine.crf.simplices import Floats

# Sums may be contracted and reordered in sign, but NaN and inf keep their meaning.
_MATHS = {"contract", "nsz", "arcp"}
_compile = numba.njit(cache=True, nogil=True, fastmath=_MATHS)

_BLOCK = 256  # pixels at once, so that all labels of them stay near the processor
_ROUNDER = np.float32(1.5 * 2**23)
_LOG2E = np.float32(1.4426950408889634)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_LEAST = np.float32(-87.0)  # exp is the least normal number there; a smaller probability is one of 0
_TERMS = tuple(
    np.float32(term)
    for term in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)
)
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)


@_compile
def normalise_two(apart: Floats, messages: Floats, out: Floats) -> None:
    """The same for two labels, of which one probability is wanted: one exponential. All are (1, N)."""
    distance, powers = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.int32)
    for start in range(0, out.shape[1], _BLOCK):
        count = min(_BLOCK, out.shape[1] - start)
        some, more, target = apart[0, start:], messages[0, start:], out[0, start:]
        for lane in range(count):
            distance[lane] = -abs(some[lane] + _TWO * more[lane])
        _exponentiate(distance, powers)
        for lane in range(count):
            likely = _ONE / (_ONE + distance[lane])
            rest = distance[lane] * likely
            target[lane] = likely if some[lane] + _TWO * more[lane] >= _ZERO else rest


@_compile
def normalise_labels(apart: Floats, messages: Floats, out: Floats) -> None:
    """Probabilities of all labels but the last, or of all, by the number of rows of `out`, float32 (L - 1 or L, N).

    apart (L - 1, N): logits of all labels but the last one less that of the last. messages (L - 1, N) are added to
    the logits; those of all labels sum to 0, so the last one is less the sum of the others.
    """
    logits, top = np.empty((len(apart) + 1, _BLOCK), np.float32), np.empty(_BLOCK, np.float32)
    powers = np.empty(_BLOCK, np.int32)
    for start in range(0, out.shape[1], _BLOCK):
        stop = min(start + _BLOCK, out.shape[1])
        _add_messages(apart[:, start:stop], messages[:, start:stop], logits, top)
        for label in range(len(logits)):
            row = logits[label]
            for lane in range(_BLOCK):
                row[lane] -= top[lane]
            _exponentiate(row, powers)
        _divide(logits, top, out[:, start:stop])


@_compile
def _add_messages(apart: Floats, messages: Floats, logits: Floats, top: Floats) -> None:
    """Logits of a block, that of the last label being 0, and the largest of each pixel."""
    last = logits[len(apart)]
    for lane in range(_BLOCK):
        last[lane] = top[lane] = _ZERO
    for label in range(len(apart)):
        more = messages[label]
        for lane in range(len(more)):
            last[lane] += more[lane]
    for label in range(len(apart)):
        row, some, more = logits[label], apart[label], messages[label]
        for lane in range(len(more)):
            logit, highest = some[lane] + (more[lane] + last[lane]), top[lane]
            row[lane] = logit
            top[lane] = logit if logit > highest else highest
    for lane in range(_BLOCK):
        last[lane] = _ZERO


@_compile
def _exponentiate(row: Floats, powers: NDArray[np.int32]) -> None:
    """exp(row) in its place, to about one unit in the last (Cody and Waite's reduction, Cephes' terms)."""
    scales = powers.view(np.float32)
    for lane in range(_BLOCK):
        value = row[lane]
        value = value if value > _LEAST else _LEAST
        whole = (value * _LOG2E + _ROUNDER) - _ROUNDER
        value = (value - whole * _LN2_HIGH) - whole * _LN2_LOW
        power = _TERMS[0]
        power = power * value + _TERMS[1]
        power = power * value + _TERMS[2]
        power = power * value + _TERMS[3]
        power = power * value + _TERMS[4]
        power = power * value + _TERMS[5]
        row[lane] = power * value * value + value + _ONE
        powers[lane] = (np.int32(whole) + np.int32(127)) << np.int32(23)
    for lane in range(_BLOCK):
        row[lane] *= scales[lane]


@_compile
def _divide(powers: Floats, total: Floats, out: Floats) -> None:
    for lane in range(_BLOCK):
        total[lane] = _ZERO
    for label in range(len(powers)):
        row = powers[label]
        for lane in range(_BLOCK):
            total[lane] += row[lane]
    for lane in range(_BLOCK):
        total[lane] = _ONE / total[lane]
    for label in range(len(out)):
        row, target = powers[label], out[label]
        for lane in range(out.shape[1]):
            target[lane] = row[lane] * total[lane]
