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

Bytes = NDArray[np.uint8]
Table = NDArray[np.int32]  # a row per component or node
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LEFT, TOP, RIGHT, BOTTOM, FIRST, SINCE, PARENT = range(7)  # columns of a component; right and bottom are inside
LOW, HIGH = SINCE, PARENT  # columns of a node, beside the first five: its lowest and highest level
OUTSIDE = 1
_STEPS = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))  # x, y: counter-clockwise from east

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
        overlaps[node] = _overlap(nodes[node], truth, edge, extra)
        _raise_range(best[1], nodes[node], overlaps[node])
    chosen = _pick_largest(ranks.ravel(), nodes, used, len(levels), width + 2)
    for level in range(len(levels)):
        if chosen[level] >= 0:
            best[0, level] = overlaps[chosen[level]]
    holes, used = _sweep_holes(ranks.ravel(), order, starts, width + 2)
    for node in range(used):
        _raise_range(best[1], holes[node], _overlap(holes[node], truth, edge, extra))
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
    around = (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1)
    for rank in range(len(starts) - 2, 0, -1):
        for place in order[starts[rank] : starts[rank + 1]]:
            own, seen = 0, 0
            for step in around:
                label = labels[place + step]
                if label != seen and label != 0:
                    seen = label
                    root = _find(parts, label)
                    if own == 0:
                        own = root
                        used = _leave_range(parts, own, nodes, used, rank, parts[own, SINCE] - 1, rank)
                    elif root != own:
                        used = _leave_range(parts, root, nodes, used, rank, parts[root, SINCE] - 1, rank)
                        own = _join(parts, own, root)
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
def _raise_range(best: Floats, node: Table, value: float) -> None:
    for level in range(node[LOW], node[HIGH] + 1):
        if value > best[level]:
            best[level] = value


@_compile
def _overlap(node: Table, truth: Floats, edge: tuple[float, float], extra: float) -> float:
    """IoU of a node's box with the nearest true one, in the order of operations of `compute_box_iou`."""
    left, top = float(node[LEFT]), float(node[TOP])
    right, bottom = min(node[RIGHT] + 1.0, edge[0]), min(node[BOTTOM] + 1.0, edge[1])
    area = max(right - left + extra, 0.0) * max(bottom - top + extra, 0.0)
    best = 0.0
    for x1, y1, x2, y2 in truth:
        both = max(min(right, x2) - max(left, x1) + extra, 0.0) * max(min(bottom, y2) - max(top, y1) + extra, 0.0)
        union = area + max(x2 - x1 + extra, 0.0) * max(y2 - y1 + extra, 0.0) - both
        if union > 0:
            best = max(best, both / union)
    return best


@_compile
def _pick_largest(ranks: Bytes, nodes: Table, used: int, count: int, width: int) -> Ints:
    """For each level the node whose contour encloses most, the one that begins last on equal areas; -1 without."""
    widest, rivals = _find_widest(nodes, used, count)
    chosen, area = widest.copy(), np.full(count, -1, np.int64)
    traced = np.zeros(used, np.bool_)
    for level in range(count):  # likely winners first, so that most others need no tracing
        node = widest[level]
        if rivals[level] > 1 and not traced[node]:
            traced[node] = True
            _challenge(ranks, nodes, node, chosen, area, width)
    for node in range(used):
        if not traced[node] and _can_win(nodes, node, chosen, area, rivals):
            _challenge(ranks, nodes, node, chosen, area, width)
    return chosen


@_compile
def _find_widest(nodes: Table, used: int, count: int) -> tuple[Ints, Ints]:
    """For each level the node with the largest bound, -1 without, and the number of nodes."""
    widest, rivals = np.full(count, -1, np.int64), np.zeros(count, np.int64)
    bounds = np.full(count, -1, np.int64)
    for node in range(used):
        bound = _bound(nodes[node])
        for level in range(nodes[node, LOW], nodes[node, HIGH] + 1):
            rivals[level] += 1
            if bound > bounds[level]:
                bounds[level] = bound
                widest[level] = node
    return widest, rivals


@_inline
def _bound(node: Table) -> int:
    """Twice the area of the box through the outermost pixel centres: no contour in it encloses more."""
    return 2 * np.int64(node[RIGHT] - node[LEFT]) * (node[BOTTOM] - node[TOP])


@_compile
def _can_win(nodes: Table, node: int, chosen: Ints, area: Ints, rivals: Ints) -> bool:
    bound, first = _bound(nodes[node]), nodes[node, FIRST]
    for level in range(nodes[node, LOW], nodes[node, HIGH] + 1):
        if rivals[level] > 1 and (
            bound > area[level] or (bound == area[level] and first > nodes[chosen[level], FIRST])
        ):
            return True
    return False


@_compile
def _challenge(ranks: Bytes, nodes: Table, node: int, chosen: Ints, area: Ints, width: int) -> None:
    """Measures one node and lets it win the levels at which it is the largest."""
    own = np.int64(0)
    if _bound(nodes[node]) > 0:
        own = _trace(ranks, nodes[node, FIRST], nodes[node, HIGH], width)
    for level in range(nodes[node, LOW], nodes[node, HIGH] + 1):
        later = own == area[level] and nodes[node, FIRST] > nodes[chosen[level], FIRST]
        if own > area[level] or later:
            area[level] = own
            chosen[level] = node


@_compile
def _trace(ranks: Bytes, first: int, level: int, width: int) -> int:
    """Twice the area inside the outer border of the component of {rank > level} that begins at `first`.

    Border following of Suzuki and Abe (1985), shoelace formula over the pixel centres.
    """
    steps = np.empty(8, np.int64)
    for direction, (x, y) in enumerate(_STEPS):
        steps[direction] = y * width + x
    direction = 3
    while ranks[first + steps[direction]] <= level:
        direction = (direction - 1) % 8
        if direction == 4:
            return np.int64(0)
    last = first + steps[direction]
    place, x, y, area = first, np.int64(0), np.int64(0), np.int64(0)
    while True:
        direction = (direction + 1) % 8
        while ranks[place + steps[direction]] <= level:
            direction = (direction + 1) % 8
        move_x, move_y = _STEPS[direction]
        area += x * move_y - y * move_x
        x, y = x + move_x, y + move_y
        following = place + steps[direction]
        if following == first and place == last:
            return abs(area)
        place, direction = following, (direction + 4) % 8
