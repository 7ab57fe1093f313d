"""Where the pixels lie in the lattice, and numbers for the vertices around them, compiled.

The arithmetic is that of `simplices`. All that calls each other is in one file: the cache of numba sees changes of a
function's own file only.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from wsl.refine.crf.simplices import Counts, Floats

Indices = NDArray[np.uint32]
Ranks = NDArray[np.int32]
Words = NDArray[np.uint64]

_compile = numba.njit(cache=True, nogil=True)
_BLOCK = 256  # pixels at once: the inner loops are over them, so that they run on vectors of the processor
_EMPTY = np.uint64(2**64 - 1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
_ROUNDER = np.float32(1.5 * 2**23)  # added and taken away again, it rounds to the nearest even whole number
_NOTHING, _WHOLE = np.float32(0), np.float32(1)


@_compile
def number_corners(
    features: Floats,
    scales: Floats,
    strides: Counts,
    origin: int,
    shift: int,
    table: Words,
    vertices: Words,
    corners: Indices,
    weights: Floats,
) -> int:
    """How many vertices there are; numbers into `corners`, barycentric weights into `weights`, both (d + 1, N).

    Vertices are numbered in order of first sight; `vertices` takes key << shift | number of each. table: a power of 2
    of words, overwritten. N is filled up to a multiple of 4 with the zero vector, whose corners count as vertices.
    """
    count, pixels = corners.shape
    padded = (pixels + 3) // 4 * 4
    parts, numbers = np.empty((count, _BLOCK), np.float32), np.empty((count, _BLOCK), np.uint32)
    keys, missed = np.empty((count, _BLOCK), np.uint64), np.empty(count * _BLOCK + 1, np.uint32)
    floats, ranks = np.empty((3 * count + 1, _BLOCK), np.float32), np.empty((count, _BLOCK), np.int32)
    _clear(table)
    used = np.uint64(0)
    for start in range(0, padded, _BLOCK):
        lanes = min(_BLOCK, padded - start)
        _place_block(features, scales, start, strides, origin, floats, ranks, parts, keys)
        while 5 * (used + np.uint64(count * _BLOCK)) > 3 * np.uint64(len(table)):
            table = _grow(table, vertices[: np.int64(used)], shift)
        count_missed = _look_up(keys, lanes, table, shift, numbers, missed)
        flat_keys, flat_numbers = keys.reshape(-1), numbers.reshape(-1)
        used = _number(flat_keys, missed[: np.int64(count_missed)], table, shift, vertices, used, flat_numbers)
        for corner in range(count):
            some_corners, some_weights = corners[corner, start:], weights[corner, start:]
            for lane in range(min(lanes, pixels - start)):
                some_corners[lane] = numbers[corner, lane]
                some_weights[lane] = parts[corner, lane]
    return np.int64(used)


@_compile
def _clear(table: Words) -> None:
    for slot in range(len(table)):
        table[slot] = _EMPTY


@_compile
def _find_top(slots: int) -> int:
    """How far a product of 64 bits is shifted to be a slot of a table of 2^n slots."""
    top = np.uint64(64)
    while slots > 1:
        slots >>= 1
        top -= _ONE
    return top


@_compile
def _look_up(keys: Words, lanes: int, table: Words, shift: int, numbers: Indices, missed: Indices) -> int:
    """Numbers of the keys that are in the first slot where they may be. The places of all others go into `missed`.

    Returns how many those are. Nothing depends on what is read, so the processor waits for many words together.
    """
    top, low = _find_top(len(table)), (_ONE << shift) - _ONE
    count = np.uint64(0)
    for corner in range(len(keys)):
        for lane in range(lanes):
            key = keys[corner, lane]
            entry = table[(key * _GOLDEN) >> top]
            numbers[corner, lane] = np.uint32(entry & low)
            missed[count] = np.uint32(corner * _BLOCK + lane)
            count += np.uint64(entry >> shift != key)
    return count


@_compile
def _number(
    keys: Words, missed: Indices, table: Words, shift: int, vertices: Words, used: int, numbers: Indices
) -> int:
    """Numbers of the missed ones of the keys; the number of vertices afterwards. Open addressing."""
    top, mask, low = _find_top(len(table)), np.uint64(len(table) - 1), (_ONE << shift) - _ONE
    for place in missed:
        key = keys[place]
        slot = (key * _GOLDEN) >> top
        entry = table[slot]
        while entry != _EMPTY and entry >> shift != key:
            slot = (slot + _ONE) & mask
            entry = table[slot]
        if entry == _EMPTY:
            entry = (key << shift) | used
            table[slot] = entry
            vertices[used] = entry
            used += _ONE
        numbers[place] = np.uint32(entry & low)
    return used


@_compile
def _grow(table: Words, vertices: Words, shift: int) -> Words:
    larger = np.empty(2 * len(table), np.uint64)
    _clear(larger)
    top, mask = _find_top(len(larger)), np.uint64(len(larger) - 1)
    for entry in vertices:
        slot = ((entry >> shift) * _GOLDEN) >> top
        while larger[slot] != _EMPTY:
            slot = (slot + _ONE) & mask
        larger[slot] = entry
    return larger


@_compile
def _place_block(
    features: Floats,
    scales: Floats,
    start: int,
    strides: Counts,
    origin: int,
    floats: Floats,
    ranks: Ranks,
    weights: Floats,
    keys: Words,
) -> None:
    """Weights and keys, (d + 1, _BLOCK) each, of the corners of a block of pixels, zero vectors after the last.

    floats (3 d + 4, _BLOCK), ranks (d + 1, _BLOCK): room.
    """
    count = len(ranks)
    elevated, steps, rests = floats[:count], floats[count : 2 * count], floats[2 * count : 3 * count]
    _elevate(features, scales, start, elevated, floats[-1])
    _find_ranks(elevated, steps, rests, ranks)
    _weigh(elevated, ranks, rests, weights)
    _make_keys(steps, ranks, strides, origin, keys)


@_compile
def _elevate(features: Floats, scales: Floats, start: int, elevated: Floats, total: Floats) -> None:
    dimension = len(features)
    stop = min(start + _BLOCK, features.shape[1])
    for lane in range(_BLOCK):
        total[lane] = _NOTHING
    for axis in range(dimension, 0, -1):
        row, target = features[axis - 1, start:stop], elevated[axis]
        scale, steps = scales[axis - 1], np.float32(axis)
        for lane in range(len(row)):
            scaled = row[lane] * scale
            target[lane] = total[lane] - steps * scaled
            total[lane] += scaled
        for lane in range(len(row), _BLOCK):
            target[lane] = _NOTHING
    for lane in range(_BLOCK):
        elevated[0, lane] = total[lane]


@_compile
def _find_ranks(elevated: Floats, steps: Floats, rests: Floats, ranks: Ranks) -> None:
    """Quotients into `steps`, rests over d + 1 where the coordinates were."""
    count = len(ranks)
    width, part = np.float32(count), np.float32(1.0 / count)
    total = np.zeros(_BLOCK, np.int32)
    for axis in range(count):
        for lane in range(_BLOCK):
            step = (elevated[axis, lane] * part + _ROUNDER) - _ROUNDER
            steps[axis, lane] = step
            rests[axis, lane] = elevated[axis, lane] - step * width
            total[lane] += np.int32(step)
            ranks[axis, lane] = np.int32(0)
    for first in range(count):
        for second in range(first + 1, count):
            for lane in range(_BLOCK):
                below = np.int32(rests[first, lane] < rests[second, lane])
                ranks[first, lane] += below
                ranks[second, lane] += np.int32(1) - below
    for axis in range(count):
        for lane in range(_BLOCK):
            rank = ranks[axis, lane] + total[lane]
            moved = np.int32(rank < 0) - np.int32(rank >= count)
            ranks[axis, lane] = rank + moved * np.int32(count)
            steps[axis, lane] += np.float32(moved)
            elevated[axis, lane] = (elevated[axis, lane] - steps[axis, lane] * width) * part


@_compile
def _weigh(rests: Floats, ranks: Ranks, ordered: Floats, weights: Floats) -> None:
    """Barycentric weights: differences of the rests in the order of their ranks."""
    count = len(ranks)
    for rank in range(count):
        for axis in range(count):
            for lane in range(_BLOCK):
                rest, kept = rests[axis, lane], ordered[rank, lane]  # both are read, or it would be a jump
                ordered[rank, lane] = rest if ranks[axis, lane] == rank else kept
    for lane in range(_BLOCK):
        weights[0, lane] = ordered[count - 1, lane] + (_WHOLE - ordered[0, lane])
    for corner in range(1, count):
        for lane in range(_BLOCK):
            weights[corner, lane] = ordered[count - 1 - corner, lane] - ordered[count - corner, lane]


@_compile
def _make_keys(steps: Floats, ranks: Ranks, strides: Counts, origin: int, keys: Words) -> None:
    """Corner c + 1 is corner c, one step further in all coordinates and back along the axis whose rank is d - c."""
    count = len(ranks)
    for lane in range(_BLOCK):
        keys[0, lane] = np.uint64(-origin)
    for axis in range(count - 1):
        for lane in range(_BLOCK):
            keys[0, lane] += np.uint64(np.int64(np.int32(steps[axis, lane])) * strides[axis])
    for corner in range(1, count):
        for lane in range(_BLOCK):
            keys[corner, lane] = keys[corner - 1, lane] + np.uint64(1)
        for axis in range(count - 1):
            back = np.uint64(-strides[axis])
            for lane in range(_BLOCK):
                keys[corner, lane] += back if ranks[axis, lane] == count - corner else np.uint64(0)
