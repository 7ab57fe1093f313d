"""Building a permutohedral lattice, compiled; the same vertices and weights as `simplices` and `vertices` find."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from wsl.refine.crf.filter_compiled import add_filtered
from wsl.refine.crf.links_compiled import link_vertices
from wsl.refine.crf.simplices import Counts, Floats
from wsl.refine.crf.softmax_compiled import normalise_labels

__all__ = ["add_filtered", "join_vertices", "measure_lattice", "measure_room", "normalise_labels"]

Indices = NDArray[np.uint32]
Words = NDArray[np.uint64]

_compile = numba.njit(cache=True, nogil=True)
_BLOCK = 64  # pixels at once, so that the arithmetic is done on vectors of the processor
_LEAST_BITS = 13
_EMPTY = np.uint64(2**64 - 1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
_ROUNDER = np.float32(1.5 * 2**23)  # added and taken away again, it rounds to the nearest even whole number


@_compile
def join_vertices(
    features: Floats, scales: Floats, lows: Counts, strides: Counts, volume: int, room: Words, memory: Words
) -> tuple[Indices, Floats, Indices, Indices]:
    """(corners, weights, after, before) as in `Lattice`, weights barycentric. features: float32 (d, N), contiguous.

    A key of the grid (see `Grid.as_arrays`) and a vertex number must fit in 62 bits. room: at least `measure_room`
    words to work in; memory: at least `measure_lattice` words, of which the results are parts.
    """
    count, pixels = len(features) + 1, features.shape[1]
    padded = (pixels + 3) // 4 * 4
    shift = np.uint64(_count_bits(padded * count))
    most = padded * count
    corners = memory.view(np.uint32)[:most].reshape(padded, count)
    weights = memory.view(np.float32)[most : 2 * most].reshape(padded, count)
    floats, ranks = np.empty((2 * count + 1, _BLOCK), np.float32), np.empty((count, _BLOCK), np.int32)
    keys = np.empty(_BLOCK * count, np.uint64)
    vertices, table = room[:most], room[most:][: _measure_table(padded)]
    table[:] = _EMPTY
    used = 0
    for start in range(0, padded, _BLOCK):
        stop = min(start + _BLOCK, padded)
        _elevate(features, scales, start, floats)
        _find_ranks(floats, ranks)
        _place(floats, ranks, (lows, strides, volume), weights[start:stop], keys)
        if 5 * (used + len(keys)) > 3 * len(table):
            table = _grow(table, vertices[:used], shift)
        used = _number(keys[: (stop - start) * count], table, shift, vertices, used, corners[start:stop].ravel())
    # the table is not needed any more, so its room and what follows it are free for sorting
    after, before = link_vertices(
        vertices[:used], shift, strides, volume, room[most:], memory.view(np.uint32)[2 * most :]
    )
    return corners[:pixels], weights[:pixels], after, before


@_compile
def measure_room(pixels: int, dimension: int) -> int:
    """How many words `join_vertices` wants: the vertices, then the table or twice the vertices for sorting."""
    padded = (pixels + 3) // 4 * 4
    most = padded * (dimension + 1)
    return most + max(_measure_table(padded), 2 * most)


@_compile
def measure_lattice(pixels: int, dimension: int) -> int:
    """How many words a lattice takes at most: corners and weights, after and before, two numbers a word."""
    count, most = dimension + 1, (pixels + 3) // 4 * 4 * (dimension + 1)
    return most + count * (most + 1)


@_compile
def _measure_table(padded: int) -> int:
    return 1 << max(_LEAST_BITS, _count_bits(2 * padded))


@_compile
def _count_bits(number: int) -> int:
    bits = 0
    while number >> bits:
        bits += 1
    return bits


@_compile
def _elevate(features: Floats, scales: Floats, start: int, floats: Floats) -> None:
    """Coordinates of a block of features into the first d + 1 rows of `floats`; beyond the last pixel they are 0."""
    dimension = len(features)
    total, elevated = floats[-1], floats[: dimension + 1]
    stop = min(start + _BLOCK, features.shape[1])
    total[:] = np.float32(0)
    for axis in range(dimension, 0, -1):
        row, target = features[axis - 1, start:stop], elevated[axis]
        scale, steps = scales[axis - 1], np.float32(axis)
        target[:] = np.float32(0)
        for lane in range(len(row)):
            scaled = row[lane] * scale
            target[lane] = total[lane] - steps * scaled
            total[lane] += scaled
    elevated[0] = total


@_compile
def _find_ranks(floats: Floats, ranks: NDArray[np.int32]) -> None:
    """Quotients of a block go into the next d + 1 rows of `floats`, rests over d + 1 where the coordinates were."""
    count = len(ranks)
    elevated, steps, rests = floats[:count], floats[count : 2 * count], np.empty((count, _BLOCK), np.float32)
    width = np.float32(count)
    part = np.float32(1.0 / count)
    total = np.zeros(_BLOCK, np.int32)
    for axis in range(count):
        for lane in range(_BLOCK):
            step = (elevated[axis, lane] * part + _ROUNDER) - _ROUNDER
            steps[axis, lane] = step
            rests[axis, lane] = elevated[axis, lane] - step * width
            total[lane] += np.int32(step)
        ranks[axis] = np.int32(0)
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
def _place(
    floats: Floats, ranks: NDArray[np.int32], grid: tuple[Counts, Counts, int], weights: Floats, keys: Words
) -> None:
    """Barycentric weights (n, d + 1) and keys (n * (d + 1),) of the corners of the first n pixels of a block.

    Corner r + 1 is corner r, one step back along the axis whose rank is d - r.
    """
    lows, strides, volume = grid
    count = len(ranks)
    base, rests, steps = np.zeros(_BLOCK, np.int64), np.empty(count, np.float32), np.empty(count, np.int64)
    for axis in range(count - 1):
        for lane in range(_BLOCK):
            base[lane] += (np.int64(np.int32(floats[count + axis, lane])) - lows[axis]) * strides[axis]
    for lane in range(len(weights)):
        for axis in range(count):
            rank = np.uint32(ranks[axis, lane])
            rests[rank] = floats[axis, lane]
            steps[rank] = strides[axis]
        key = base[lane]
        weights[lane, 0] = rests[count - 1] + (np.float32(1) - rests[0])
        keys[lane * count] = np.uint64(key)
        for corner in range(1, count):
            weights[lane, corner] = rests[count - 1 - corner] - rests[count - corner]
            key += volume - steps[count - corner]
            keys[lane * count + corner] = np.uint64(key)


@_compile
def _number(keys: Words, table: Words, shift: int, vertices: Words, used: int, numbers: Indices) -> int:
    """Numbers of the keys, in order of first sight, into `numbers`; the number of vertices afterwards.

    table: open addressing, key << shift | number. All slots are read once before they are needed, so that the
    processor waits for many of them together.
    """
    top = np.uint64(64 - _count_bits(len(table) - 1))
    mask, low = np.uint64(len(table) - 1), (_ONE << shift) - _ONE
    slots = np.empty(len(keys), np.uint64)
    seen = np.uint64(0)
    for index in range(len(keys)):
        slot = (keys[index] * _GOLDEN) >> top
        slots[index] = slot
        seen ^= table[slot]
    for index in range(len(keys)):
        key, slot = keys[index], slots[index]
        entry = table[slot]
        while entry != _EMPTY and entry >> shift != key:
            slot = (slot + _ONE) & mask
            entry = table[slot]
        if entry == _EMPTY:
            entry = (key << shift) | np.uint64(used)
            table[slot] = entry
            vertices[used] = entry
            used += 1
        numbers[index] = np.uint32(entry & low)
    keys[0] = seen  # the keys are not needed any more, but without a use the reads would be left out
    return used


@_compile
def _grow(table: Words, vertices: Words, shift: int) -> Words:
    larger = np.full(2 * len(table), _EMPTY, np.uint64)
    top, mask = np.uint64(64 - _count_bits(len(larger) - 1)), np.uint64(len(larger) - 1)
    for entry in vertices:
        slot = ((entry >> shift) * _GOLDEN) >> top
        while larger[slot] != _EMPTY:
            slot = (slot + _ONE) & mask
        larger[slot] = entry
    return larger
