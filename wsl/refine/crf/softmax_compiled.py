"""Softmax over labels from messages, compiled."""

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
_ONE = np.float32(1)


@_compile
def normalise_labels(base: Floats, messages: Floats, out: Floats) -> None:
    """out (L, N) = softmax(base + messages) where the messages (L - 1, N) of all labels sum to 0.

    So the last one is less the sum of the others; what all messages really sum to must stand in the base of the last.
    """
    logits, top = np.empty((len(base), _BLOCK), np.float32), np.empty(_BLOCK, np.float32)
    powers = np.empty(_BLOCK, np.int32)
    if len(base) == 2:
        _normalise_two(base, messages, logits[:1], powers, out)
        return
    for start in range(0, base.shape[1], _BLOCK):
        stop = min(start + _BLOCK, base.shape[1])
        _add_messages(base[:, start:stop], messages[:, start:stop], logits, top)
        _exponentiate(logits, top, powers)
        _divide(logits, top, out[:, start:stop])


@_compile
def _normalise_two(base: Floats, messages: Floats, room: Floats, powers: NDArray[np.int32], out: Floats) -> None:
    """The same for two labels: e, the exponential of minus the distance of their logits; 1 / (1 + e) and the rest."""
    distance, zero = room[0], np.zeros(_BLOCK, np.float32)
    for start in range(0, base.shape[1], _BLOCK):
        count = min(_BLOCK, base.shape[1] - start)
        first, last, message = base[0, start:], base[1, start:], messages[0, start:]
        for lane in range(count):
            distance[lane] = -abs((first[lane] + message[lane]) - (last[lane] - message[lane]))
        _exponentiate(room, zero, powers)
        one, two = out[0, start:], out[1, start:]
        for lane in range(count):
            likely = _ONE / (_ONE + distance[lane])
            rest = distance[lane] * likely
            ahead = (first[lane] + message[lane]) >= (last[lane] - message[lane])
            one[lane] = likely if ahead else rest
            two[lane] = rest if ahead else likely


@_compile
def _add_messages(base: Floats, messages: Floats, logits: Floats, top: Floats) -> None:
    """Logits of a block, and the largest of each pixel."""
    last = len(base) - 1
    logits[last, : base.shape[1]] = base[last]
    for label in range(last):
        for lane in range(base.shape[1]):
            logits[label, lane] = base[label, lane] + messages[label, lane]
            logits[last, lane] -= messages[label, lane]
    top[:] = logits[last]
    for label in range(last):
        for lane in range(_BLOCK):
            top[lane] = max(top[lane], logits[label, lane])


@_compile
def _exponentiate(logits: Floats, top: Floats, powers: NDArray[np.int32]) -> None:
    """exp(logits - top) in their place, to about one unit in the last (Cody and Waite's reduction, Cephes' terms)."""
    scales = powers.view(np.float32)
    for label in range(len(logits)):
        row = logits[label]
        for lane in range(_BLOCK):
            value = max(row[lane] - top[lane], _LEAST)
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
    total[:] = np.float32(0)
    for label in range(len(powers)):
        for lane in range(_BLOCK):
            total[lane] += powers[label, lane]
    for lane in range(_BLOCK):
        total[lane] = _ONE / total[lane]
    for label in range(len(powers)):
        for lane in range(out.shape[1]):
            out[label, lane] = powers[label, lane] * total[lane]
