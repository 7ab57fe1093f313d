"""Best boxes of all levels from one component tree, compiled: the same numbers as `level_boxes`, in one pass.

Levels enter as ranks: a pixel has rank r when r of the levels lie below it, so {image > level k} is {rank > k}. One
sweep over the pixels from the highest rank down joins them to 8-connected components. Between two changes a component
stands for a range of levels, and what is written down for that range is a node. A second sweep, upwards and
4-connected, finds the holes; component 1 of it is the outside. The cost does not depend on the number of levels.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from wsl.evaluate.localization.largest_contour_compiled import (
    BOTTOM,
    FIRST,
    HIGH,
    LEFT,
    LOW,
    RIGHT,
    TOP,
    Bytes,
    Ints,
    Table,
    pick_largest,
)

Floats = NDArray[np.float64]
SINCE, PARENT = LOW, HIGH  # columns of a component, beside the first five of a node
OUTSIDE = 1

_compile = numba.njit(cache=True, nogil=True)
_inline = numba.njit(cache=True, nogil=True, inline="always")


@_compile
def find_best_overlaps(image: Bytes, levels: Ints, truth: Floats, clip: bool, extra: float) -> Floats:
    """Best IoU float64 (2, L) of the boxes of {image > level} with one of `truth`, 0 without a foreground pixel.

    image uint8 (H, W); levels int64 (L,), distinct, ascending, at most 255; truth float64 (G, 4) xyxy. `clip` cuts
    boxes at W - 1 and H - 1, `extra` is added to every side in the IoU. Row 0: the box of the largest contour, row 1:
    the best of all contours. All arrays contiguous.
    """
    height, width = image.shape
    ranks = _rank_pixels(image, levels)
    order, starts = _sort_pixels(ranks, len(levels))
    nodes, used = _sweep_components(ranks.ravel(), order, starts, width + 2)
    edge = (width - 1.0, height - 1.0) if clip else (np.inf, np.inf)
    overlaps = np.empty(used)
    best = np.zeros((2, len(levels)))
    for node in range(used):
        overlaps[node] = _overlap(nodes, node, truth, edge, extra)
        _raise_range(best, nodes, node, overlaps[node])
    chosen = pick_largest(ranks.ravel(), nodes, used, len(levels), width + 2)
    for level in range(len(levels)):
        if chosen[level] >= 0:
            best[0, level] = overlaps[chosen[level]]
    holes, used = _sweep_holes(ranks.ravel(), order, starts, width + 2)
    for node in range(used):
        _raise_range(best, holes, node, _overlap(holes, node, truth, edge, extra))
    return best


@_compile
def _rank_pixels(image: Bytes, levels: Ints) -> Bytes:
    """uint8 (H + 2, W + 2): ranks in a frame of rank 0, which saves every check of the borders."""
    table = np.zeros(256, np.uint8)
    for value in range(256):
        table[value] = np.searchsorted(levels, value)  # levels below the value
    height, width = image.shape
    ranks = np.zeros((height + 2, width + 2), np.uint8)
    for y in range(height):
        for x in range(width):
            ranks[y + 1, x + 1] = table[image[y, x]]
    return ranks


@_compile
def _sort_pixels(ranks: Bytes, top: int) -> tuple[Table, Ints]:
    """Counting sort: the padded places of the pixels in raster order within each rank; starts int64 (top + 2,)."""
    height, width = ranks.shape
    starts = np.zeros(top + 2, np.int64)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            starts[ranks[y, x] + 1] += 1
    starts = np.cumsum(starts)
    order = np.empty(starts[-1], np.int32)
    place = starts.copy()
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            rank = ranks[y, x]
            order[place[rank]] = y * width + x
            place[rank] += 1
    return order, starts


@_compile
def _sweep_components(ranks: Bytes, order: Table, starts: Ints, width: int) -> tuple[Table, int]:
    """Nodes int32 (M, 7) of the 8-connected components of {rank > k} for all k, and how many there are."""
    labels = np.zeros(len(ranks), np.int32)
    parts = np.empty((len(order) // 2 + 3, 7), np.int32)
    nodes = np.empty((len(order) + 1, 7), np.int32)
    born, used = 0, 0
    for rank in range(len(starts) - 2, 0, -1):
        for place in order[starts[rank] : starts[rank + 1]]:
            # of two neighbours that touch each other one is enough: they were joined before
            north, south = labels[place - width], labels[place + width]
            west, east = labels[place - 1], labels[place + 1]
            own = 0
            if north != 0:
                own = _find(parts, north)
                used = _leave_range(parts, own, nodes, used, rank, parts[own, SINCE] - 1, rank)
            if south != 0 and south != north:
                own, used = _meet(parts, own, south, nodes, used, rank)
            if north == 0 and south == 0:
                if west != 0:
                    own, used = _meet(parts, own, west, nodes, used, rank)
                if east != 0 and east != west:
                    own, used = _meet(parts, own, east, nodes, used, rank)
            if north == 0:
                if west == 0 and labels[place - width - 1] != 0:
                    own, used = _meet(parts, own, labels[place - width - 1], nodes, used, rank)
                if east == 0 and labels[place - width + 1] != 0:
                    own, used = _meet(parts, own, labels[place - width + 1], nodes, used, rank)
            if south == 0:
                if west == 0 and labels[place + width - 1] != 0:
                    own, used = _meet(parts, own, labels[place + width - 1], nodes, used, rank)
                if east == 0 and labels[place + width + 1] != 0:
                    own, used = _meet(parts, own, labels[place + width + 1], nodes, used, rank)
            if own == 0:
                born += 1
                own = born
                _begin(parts, own, place, width, rank)
            else:
                _grow(parts, own, place, width)
            labels[place] = own
    for part in range(1, born + 1):
        if parts[part, PARENT] == part:
            used = _leave_range(parts, part, nodes, used, 0, parts[part, SINCE] - 1, 0)
    return nodes, used


@_inline
def _meet(parts: Table, own: int, label: int, nodes: Table, used: int, rank: int) -> tuple[int, int]:
    """Joins a neighbour's component to `own` (0 = none yet): (the component of both, nodes used)."""
    root = _find(parts, label)
    if root != own:
        used = _leave_range(parts, root, nodes, used, rank, parts[root, SINCE] - 1, rank)
        own = root if own == 0 else _join(parts, own, root)
    return own, used


@_compile
def _sweep_holes(ranks: Bytes, order: Table, starts: Ints, width: int) -> tuple[Table, int]:
    """Nodes of the 4-connected components of {rank <= k} that do not reach the outside, grown by one pixel."""
    labels = np.zeros(len(ranks), np.int32)
    _mark_frame(labels, width)
    parts = np.empty((len(order) + 3, 7), np.int32)
    nodes = np.empty((len(order) + 1, 7), np.int32)
    _begin(parts, OUTSIDE, 0, width, 0)
    born, used, top = OUTSIDE, 0, len(starts) - 2
    around = (-width, -1, 1, width)
    for rank in range(top):
        for place in order[starts[rank] : starts[rank + 1]]:
            own, seen = 0, 0
            for step in around:
                label = labels[place + step]
                if label != seen and label != 0:
                    seen = label
                    root = _find(parts, label)
                    if root == own:
                        continue
                    if root != OUTSIDE:
                        used = _leave_range(parts, root, nodes, used, parts[root, SINCE], rank - 1, rank)
                    own = root if own == 0 else _join(parts, min(own, root), max(own, root))
            if own == 0:
                born += 1
                own = born
                _begin(parts, own, place, width, rank)
            elif own != OUTSIDE:
                _grow(parts, own, place, width)
            labels[place] = own
    for part in range(OUTSIDE + 1, born + 1):
        if parts[part, PARENT] == part:
            used = _leave_range(parts, part, nodes, used, parts[part, SINCE], top - 1, top)
    nodes[:used, :2] -= 1  # left, top
    nodes[:used, 2:4] += 1  # right, bottom
    return nodes, used


@_compile
def _mark_frame(labels: Table, width: int) -> None:
    for x in range(width):
        labels[x] = labels[len(labels) - 1 - x] = OUTSIDE
    for y in range(len(labels) // width):
        labels[y * width] = labels[y * width + width - 1] = OUTSIDE


@_inline
def _find(parts: Table, label: int) -> int:
    """The root of a component, halving the path to it."""
    while parts[label, PARENT] != label:
        parts[label, PARENT] = parts[parts[label, PARENT], PARENT]
        label = parts[label, PARENT]
    return label


@_inline
def _begin(parts: Table, part: int, place: int, width: int, rank: int) -> None:
    y, x = place // width, place % width
    parts[part, LEFT] = parts[part, RIGHT] = x - 1
    parts[part, TOP] = parts[part, BOTTOM] = y - 1
    parts[part, FIRST] = place
    parts[part, SINCE] = rank
    parts[part, PARENT] = part


@_inline
def _grow(parts: Table, part: int, place: int, width: int) -> None:
    y, x = place // width - 1, place % width - 1
    parts[part, LEFT] = min(parts[part, LEFT], x)
    parts[part, TOP] = min(parts[part, TOP], y)
    parts[part, RIGHT] = max(parts[part, RIGHT], x)
    parts[part, BOTTOM] = max(parts[part, BOTTOM], y)
    parts[part, FIRST] = min(parts[part, FIRST], place)


@_inline
def _join(parts: Table, root: int, other: int) -> int:
    """Hangs `other` below `root`, which takes over its pixels."""
    parts[other, PARENT] = root
    parts[root, LEFT] = min(parts[root, LEFT], parts[other, LEFT])
    parts[root, TOP] = min(parts[root, TOP], parts[other, TOP])
    parts[root, RIGHT] = max(parts[root, RIGHT], parts[other, RIGHT])
    parts[root, BOTTOM] = max(parts[root, BOTTOM], parts[other, BOTTOM])
    parts[root, FIRST] = min(parts[root, FIRST], parts[other, FIRST])
    return root


@_inline
def _leave_range(parts: Table, part: int, nodes: Table, used: int, low: int, high: int, rank: int) -> int:
    """Writes down the component as it was at the levels low..high before it changes at `rank`; once per rank."""
    if parts[part, SINCE] == rank:
        return used
    nodes[used, :5] = parts[part, :5]
    nodes[used, LOW] = low
    nodes[used, HIGH] = high
    parts[part, SINCE] = rank
    return used + 1


@_inline
def _raise_range(best: Floats, nodes: Table, node: int, value: float) -> None:
    for level in range(nodes[node, LOW], nodes[node, HIGH] + 1):
        best[1, level] = max(best[1, level], value)


@_compile
def _overlap(nodes: Table, node: int, truth: Floats, edge: tuple[float, float], extra: float) -> float:
    """IoU of a node's box with the nearest true one, in the order of operations of `compute_box_iou`."""
    left, top = float(nodes[node, LEFT]), float(nodes[node, TOP])
    right, bottom = min(nodes[node, RIGHT] + 1.0, edge[0]), min(nodes[node, BOTTOM] + 1.0, edge[1])
    area = max(right - left + extra, 0.0) * max(bottom - top + extra, 0.0)
    best = 0.0
    for row in range(len(truth)):
        x1, y1, x2, y2 = truth[row, 0], truth[row, 1], truth[row, 2], truth[row, 3]
        both = max(min(right, x2) - max(left, x1) + extra, 0.0) * max(min(bottom, y2) - max(top, y1) + extra, 0.0)
        union = area + max(x2 - x1 + extra, 0.0) * max(y2 - y1 + extra, 0.0) - both
        if union > 0:
            best = max(best, both / union)
    return best
