"""The loops behind `component_boxes`, in NumPy; `tree_steps_compiled` has the same functions with the same results."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
OUTSIDE = 0  # the place that stands for the whole frame
NOTHING = -(2**62)
_DOUBLINGS = 3  # all pixels look 2 ** 3 steps ahead before the points walk


def follow(codes: Bytes, steps: Ints, points: Ints, width: int) -> tuple[Ints, Ints]:
    """(roots, labels): where `points` (P,) end that go on by `steps` (256,) of the code under them until it is 0.

    roots: int64 (B,), the ends, in any order, all on the frame of the image of `width` counted as OUTSIDE. labels:
    int64 (P,), the position in `roots` of each point's end.
    """
    ahead = np.arange(len(codes))
    ahead += np.asarray(cv2.LUT(codes, steps.astype(np.int32)), np.int32).ravel()
    spare = np.empty_like(ahead)
    for _ in range(_DOUBLINGS):
        np.take(ahead, ahead, out=spare, mode="clip")  # "raise" would copy
        ahead, spare = spare, ahead
    while True:
        further = np.take(ahead, points)
        if np.array_equal(further, points):
            break
        points = np.take(ahead, np.take(ahead, further))
    y, x = np.divmod(points, width)
    is_outside = (x == 0) | (x == width - 1) | (y == 0) | (y == len(codes) // width - 1)
    return _number(np.where(is_outside, OUTSIDE, points), len(codes))


def join(labels: Ints, ranks: Ints, peaks: Ints) -> tuple[Ints, Ints, Ints]:
    """(parents, since, order) of the roots, int64 (B,) each, joined at saddles of descending `ranks` (S,).

    labels int64 (S, 4): the roots that meet at a saddle. The one with the lower of `peaks` (B,) becomes the child.
    since: the rank at which it does, 0 for one that stays alone, which is its own parent. order: children before
    parents.
    """
    count, heights = len(peaks), peaks.tolist()
    joined, parents, since = list(range(count)), list(range(count)), [0] * count
    order = []
    saddles, arms = np.nonzero(labels[:, 1:] != labels[:, :1])
    edges = np.stack([labels[saddles, 0], labels[saddles, arms + 1], ranks[saddles]], axis=1)
    for first, second, rank in edges.tolist():
        low, high = _find(joined, first), _find(joined, second)
        if low != high:
            if heights[low] > heights[high]:
                low, high = high, low
            joined[low] = parents[low] = high
            since[low] = rank
            order.append(low)
    order += [root for root in range(count) if parents[root] == root]
    return np.array(parents, np.int64), np.array(since, np.int64), np.array(order, np.int64)


def measure(
    tree: tuple[Ints, Ints, Ints], lengths: Ints, labels: Ints, ranks: Ints, sides: Bytes, values: Ints
) -> Ints:
    """The largest of `values` (M, 4) that each row of the tree reaches at each of its levels, int64 (cells, 4).

    A row has `lengths` levels from `since` up, one after the other. Points (M,) belong to the root `labels` and to all
    levels below `ranks`; bit s of `sides` says whether value s of a point counts.
    """
    parents, since, _ = tree
    starts = np.cumsum(lengths) - lengths
    table = np.full((int(lengths.sum()), 4), NOTHING, np.int64)
    rows = _climb(labels, ranks, parents, since)
    cells = starts[rows] + ranks - 1 - since[rows]
    for side in range(4):
        counts = (lengths[rows] > 0) & (sides >> side & 1 > 0)
        np.maximum.at(table[:, side], cells[counts], values[counts, side])
    _pass_on(table, starts, tree, lengths)
    return table


def _number(places: Ints, size: int) -> tuple[Ints, Ints]:
    """The distinct places, ascending, and for each place its position among them."""
    is_there = np.zeros(size, np.bool_)
    is_there[places] = True
    distinct = np.flatnonzero(is_there)
    position = np.empty(size, np.int64)
    position[distinct] = np.arange(len(distinct))
    return distinct, position[places]


def _find(joined: list[int], root: int) -> int:
    """The oldest root that `root` is joined to, halving the path to it."""
    while joined[root] != root:
        joined[root] = joined[joined[root]]
        root = joined[root]
    return root


def _climb(rows: Ints, ranks: Ints, parents: Ints, since: Ints) -> Ints:
    """The row that each point belongs to at the level just below its rank."""
    rows = rows.copy()
    active = np.flatnonzero(ranks <= since[rows])
    while len(active):
        rows[active] = parents[rows[active]]
        active = active[ranks[active] <= since[rows[active]]]
    return rows


def _pass_on(table: Ints, starts: Ints, tree: tuple[Ints, Ints, Ints], lengths: Ints) -> None:
    """Every level takes what the levels above it reach, and every parent what its children reach."""
    parents, since = tree[0].tolist(), tree[1].tolist()
    begins, counts = starts.tolist(), lengths.tolist()
    for row in tree[2].tolist():
        if counts[row]:
            levels = table[begins[row] : begins[row] + counts[row]][::-1]
            np.maximum.accumulate(levels, axis=0, out=levels)
            parent = parents[row]
            while since[parent] >= since[row] > 0:
                parent = parents[parent]
            if since[row] > 0 and counts[parent]:
                cell = table[begins[parent] + since[row] - 1 - since[parent]]
                np.maximum(cell, levels[-1], out=cell)
