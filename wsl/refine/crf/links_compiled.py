"""Neighbours of lattice vertices by sorting and merging, compiled."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from wsl.refine.crf.simplices import Counts

Indices = NDArray[np.uint32]
Words = NDArray[np.uint64]

_compile = numba.njit(cache=True, nogil=True)
_DIGIT = 11


@_compile
def link_vertices(
    vertices: Words, shift: int, strides: Counts, volume: int, room: Words, memory: Indices
) -> tuple[Indices, Indices]:
    """(after, before), uint32 (d + 1, M + 1) each, as in `Lattice`.

    vertices: uint64 (M,), key << shift | number. Between two remainders the keys of neighbours differ by a constant,
    so one walk along both sorted lists finds all pairs of an axis. room: at least 2 M words, overwritten, as are the
    vertices. memory: uint32, which the results are parts of.
    """
    count, used = len(strides), len(vertices)
    size = count * (used + 1)
    after, before = memory[:size].reshape(count, used + 1), memory[size : 2 * size].reshape(count, used + 1)
    memory[: 2 * size] = np.uint32(used)
    ranked = _sort(vertices, room[:used], shift, count * volume)
    keys, numbers = room[used : 2 * used].view(np.int64), np.empty(used, np.uint32)
    starts = _split(ranked, shift, volume, keys, numbers, count)
    for group in range(count):
        other = group + 1 if group + 1 < count else 0
        step = volume if other else np.sum(strides) - group * volume
        here, there = slice(starts[group], starts[group + 1]), slice(starts[other], starts[other + 1])
        for axis in range(count):
            _merge(
                keys[here], keys[there], step - strides[axis], numbers[here], numbers[there], after[axis], before[axis]
            )
    for axis in range(count):
        after[axis, used] = before[axis, used] = used
    return after, before


@_compile
def _split(ranked: Words, shift: int, volume: int, keys: Counts, numbers: Indices, count: int) -> Counts:
    """Keys and numbers of the sorted words; where those of each of the `count` remainders begin, and the end."""
    starts, low = np.zeros(count + 1, np.int64), (np.uint64(1) << shift) - np.uint64(1)
    for place in range(len(ranked)):
        key = np.int64(ranked[place] >> shift)
        keys[place], numbers[place] = key, np.uint32(ranked[place] & low)
        starts[key // volume + 1] += 1
    for group in range(count):
        starts[group + 1] += starts[group]
    return starts


@_compile
def _merge(
    first: Counts,
    second: Counts,
    step: int,
    first_numbers: Indices,
    second_numbers: Indices,
    after: Indices,
    before: Indices,
) -> None:
    """Writes the pairs with first + step == second. Without a match the write goes to the last place, which is none."""
    here, there, nowhere = 0, 0, np.uint32(len(after) - 1)
    while here < len(first) and there < len(second):
        wanted, found = first[here] + step, second[there]
        one, two = first_numbers[here], second_numbers[there]
        same = wanted == found
        after[one if same else nowhere] = two
        before[two if same else nowhere] = one
        here += np.int64(wanted <= found)
        there += np.int64(found <= wanted)


@_compile
def _sort(words: Words, other: Words, shift: int, limit: int) -> Words:
    """The words by their key, which is below `limit`: least significant digit first; in one of the two arrays."""
    current = words
    mask = np.uint64((1 << _DIGIT) - 1)
    while limit > 0:
        places = np.zeros((1 << _DIGIT) + 1, np.int64)
        for word in current:
            places[((word >> shift) & mask) + np.uint64(1)] += 1
        for digit in range(1 << _DIGIT):
            places[digit + 1] += places[digit]
        for word in current:
            digit = (word >> shift) & mask
            other[np.uint64(places[digit])] = word
            places[digit] += 1
        current, other = other, current
        shift += np.uint64(_DIGIT)
        limit >>= _DIGIT
    return current
