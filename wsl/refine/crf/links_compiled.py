"""The order of lattice vertices and their neighbours by sorting and merging, compiled."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from wsl.refine.crf.simplices import Counts

Indices = NDArray[np.uint32]
Words = NDArray[np.uint64]

_compile = numba.njit(cache=True, nogil=True)
_DIGIT = 11
_NONE, _ONE = np.uint64(0), np.uint64(1)


@_compile
def link_vertices(
    vertices: Words,
    shift: int,
    strides: Counts,
    other: Words,
    keys: Counts,
    places: Indices,
    corners: Indices,
    after: Indices,
    before: Indices,
) -> None:
    """Numbers the vertices anew, in the order of their keys, and finds the neighbours of each.

    vertices: uint64 (M,), key << shift | number, overwritten. corners: uint32, numbers that are replaced by new ones.
    after, before: uint32 (d + 1, M + 1), filled as in `Lattice`. other, keys: (M,) words, places: 2 M numbers, room.
    Between two remainders of keys those of neighbours differ by a constant, so one walk along both lists, which are
    sorted, finds all pairs of an axis.
    """
    count, used = len(strides), len(vertices)
    ranked = _sort(vertices, other, shift)
    names, places = places[:used], places[used:]
    starts = _split(ranked, shift, keys, places, names, count)
    for place in range(len(corners)):
        corners[place] = names[corners[place]]
    total = 0
    for axis in range(count):
        total += strides[axis]
        for place in range(used + 1):
            after[axis, place] = before[axis, place] = np.uint32(used)
    for group in range(count):
        following = group + 1 if group + 1 < count else 0
        step = 1 if following else total - group
        here, there = slice(starts[group], starts[group + 1]), slice(starts[following], starts[following + 1])
        lists = keys[here], keys[there], places[here], places[there]
        for axis in range(0, count - 1, 2):
            steps = step - strides[axis], step - strides[axis + 1]
            _merge_two(lists, steps, after[axis], before[axis], after[axis + 1], before[axis + 1])
        if count % 2:
            _merge(lists, step - strides[count - 1], _NONE, _NONE, after[count - 1], before[count - 1])
    for axis in range(count):
        after[axis, used] = before[axis, used] = np.uint32(used)


@_compile
def _split(ranked: Words, shift: int, keys: Counts, places: Indices, names: Indices, count: int) -> Counts:
    """Keys and places in the order of the sorted words, those of each of the `count` remainders together; where each
    begins, and the end. names: the place of each number."""
    starts, nexts = np.zeros(count + 1, np.int64), np.zeros(count, np.int64)
    low, divisor = (_ONE << shift) - _ONE, np.uint64(count)
    for word in ranked:
        starts[np.int64((word >> shift) % divisor) + 1] += 1
    for group in range(count):
        nexts[group] = starts[group]
        starts[group + 1] += starts[group]
    for place in range(len(ranked)):
        key = ranked[place] >> shift
        group = key % divisor
        target = np.uint64(nexts[group])
        nexts[group] += 1
        keys[target], places[target] = np.int64(key), np.uint32(place)
        names[ranked[place] & low] = np.uint32(place)
    return starts


@_compile
def _merge(
    lists: tuple[Counts, Counts, Indices, Indices], step: int, here: int, there: int, after: Indices, before: Indices
) -> None:
    """Writes the pairs with first + step == second from places `here` and `there` of the lists on.

    Without a match the write goes to the last place, which is none.
    """
    first, second, first_places, second_places = lists
    nowhere = np.uint32(len(after) - 1)
    while here < np.uint64(len(first)) and there < np.uint64(len(second)):
        wanted, found = first[here] + step, second[there]
        one, two = first_places[here], second_places[there]
        same = wanted == found
        after[one if same else nowhere] = two
        before[two if same else nowhere] = one
        here += np.uint64(wanted <= found)
        there += np.uint64(found <= wanted)


@_compile
def _merge_two(
    lists: tuple[Counts, Counts, Indices, Indices],
    steps: tuple[int, int],
    after: Indices,
    before: Indices,
    after_too: Indices,
    before_too: Indices,
) -> None:
    """The same for two axes at once: each step of a walk waits for the one before, so two walks cost little more."""
    first, second, first_places, second_places = lists
    nowhere = np.uint32(len(after) - 1)
    here, there, here_too, there_too = _NONE, _NONE, _NONE, _NONE
    ends, ends_too = np.uint64(len(first)), np.uint64(len(second))
    while here < ends and there < ends_too and here_too < ends and there_too < ends_too:
        wanted, found = first[here] + steps[0], second[there]
        wanted_too, found_too = first[here_too] + steps[1], second[there_too]
        one, two = first_places[here], second_places[there]
        one_too, two_too = first_places[here_too], second_places[there_too]
        same, same_too = wanted == found, wanted_too == found_too
        after[one if same else nowhere] = two
        before[two if same else nowhere] = one
        after_too[one_too if same_too else nowhere] = two_too
        before_too[two_too if same_too else nowhere] = one_too
        here += np.uint64(wanted <= found)
        there += np.uint64(found <= wanted)
        here_too += np.uint64(wanted_too <= found_too)
        there_too += np.uint64(found_too <= wanted_too)
    _merge(lists, steps[0], here, there, after, before)
    _merge(lists, steps[1], here_too, there_too, after_too, before_too)


@_compile
def _sort(words: Words, other: Words, shift: int) -> Words:
    """The words by their key: least significant digit first; in one of the two arrays."""
    current, mask = words, np.uint64((1 << _DIGIT) - 1)
    places = np.empty((1 << _DIGIT) + 1, np.uint64)
    largest = np.uint64(0)
    for word in current:
        largest = max(largest, word)
    while largest >> shift:
        for digit in range(len(places)):
            places[digit] = np.uint64(0)
        for word in current:
            places[((word >> shift) & mask) + _ONE] += _ONE
        for digit in range(1 << _DIGIT):
            places[digit + 1] += places[digit]
        for word in current:
            digit = (word >> shift) & mask
            other[places[digit]] = word
            places[digit] += _ONE
        current, other = other, current
        shift += np.uint64(_DIGIT)
    return current
