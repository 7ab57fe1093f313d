"""The loops of `tree_steps`, compiled: the same functions with the same results."""

from __future__ import annotations

import numba
import numpy as np

from wsl.evaluate.localization.tree_steps import NOTHING, OUTSIDE, Bytes, Ints

_compile = numba.njit(cache=True, nogil=True)


@_compile
def follow(codes: Bytes, steps: Ints, points: Ints, width: int) -> tuple[Ints, Ints]:
    """(roots, labels): where `points` (P,) end that go on by `steps` (256,) of the code under them until it is 0.

    roots: int64 (B,), the ends, in any order, all on the frame of the image of `width` counted as OUTSIDE. labels:
    int64 (P,), the position in `roots` of each point's end.
    """
    known = np.zeros(len(codes), np.int32)  # 1 + label of the pixels that a point came along
    known[:width] = known[-width:] = known[::width] = known[width - 1 :: width] = 1
    roots, labels = np.full(len(points) + 1, OUTSIDE, np.int64), np.empty(len(points), np.int64)
    used = 1
    for index in range(len(points)):
        place = points[index]
        while known[place] == 0 and steps[codes[place]] != 0:
            place += steps[codes[place]]
        if known[place] == 0:
            roots[used] = place
            used += 1
            known[place] = used
        label = known[place]
        place = points[index]
        while known[place] == 0:
            known[place] = label
            place += steps[codes[place]]
        labels[index] = label - 1
    return roots[:used].copy(), labels


@_compile
def join(labels: Ints, ranks: Ints, peaks: Ints) -> tuple[Ints, Ints, Ints]:
    """(parents, since, order) of the roots, int64 (B,) each, joined at saddles of descending `ranks` (S,).

    labels int64 (S, 4): the roots that meet at a saddle. The one with the lower of `peaks` (B,) becomes the child.
    since: the rank at which it does, 0 for one that stays alone, which is its own parent. order: children before
    parents.
    """
    count, used = len(peaks), 0
    joined, parents = np.arange(count), np.arange(count)
    since, order = np.zeros(count, np.int64), np.empty(count, np.int64)
    for saddle in range(len(labels)):
        for arm in range(1, 4):
            low, high = _find(joined, labels[saddle, 0]), _find(joined, labels[saddle, arm])
            if low != high:
                if peaks[low] > peaks[high]:
                    low, high = high, low
                joined[low] = parents[low] = high
                since[low] = ranks[saddle]
                order[used] = low
                used += 1
    for root in range(count):
        if parents[root] == root:
            order[used] = root
            used += 1
    return parents, since, order


@_compile
def measure(
    tree: tuple[Ints, Ints, Ints], lengths: Ints, labels: Ints, ranks: Ints, sides: Bytes, values: Ints
) -> Ints:
    """The largest of `values` (M, 4) that each row of the tree reaches at each of its levels, int64 (cells, 4).

    A row has `lengths` levels from `since` up, one after the other. Points (M,) belong to the root `labels` and to all
    levels below `ranks`; bit s of `sides` says whether value s of a point counts.
    """
    parents, since, order = tree
    starts = np.cumsum(lengths) - lengths
    table = np.full((np.sum(lengths), 4), NOTHING, np.int64)
    for point in range(len(labels)):
        row = labels[point]
        while ranks[point] <= since[row]:
            row = parents[row]
        if lengths[row] > 0:
            cell = starts[row] + ranks[point] - 1 - since[row]
            for side in range(4):
                if sides[point] >> side & 1:
                    table[cell, side] = max(table[cell, side], values[point, side])
    for row in order:
        _pass_on(table, starts, parents, since, lengths, row)
    return table


@numba.njit(cache=True, nogil=True, inline="always")
def _find(joined: Ints, root: int) -> int:
    """The oldest root that `root` is joined to, halving the path to it."""
    while joined[root] != root:
        joined[root] = joined[joined[root]]
        root = joined[root]
    return root


@numba.njit(cache=True, nogil=True, inline="always")
def _pass_on(table: Ints, starts: Ints, parents: Ints, since: Ints, lengths: Ints, row: int) -> None:
    """Every level of a row takes what the levels above it reach, and its parent what it reaches."""
    if lengths[row] == 0:
        return
    for cell in range(starts[row] + lengths[row] - 2, starts[row] - 1, -1):
        for side in range(4):
            table[cell, side] = max(table[cell, side], table[cell + 1, side])
    parent = parents[row]
    while since[parent] >= since[row] > 0:
        parent = parents[parent]
    if since[row] > 0 and lengths[parent] > 0:
        cell = starts[parent] + since[row] - 1 - since[parent]
        for side in range(4):
            table[cell, side] = max(table[cell, side], table[starts[row], side])
