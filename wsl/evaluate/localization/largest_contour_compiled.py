"""The largest contour of every level among the nodes of a component tree, compiled; see `level_boxes_compiled`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Table = NDArray[np.int32]  # a row per component or node
Ints = NDArray[np.int64]

# columns of a node: its box, right and bottom inside, the place of its first pixel, its lowest and highest level
LEFT, TOP, RIGHT, BOTTOM, FIRST, LOW, HIGH = range(7)
_STEPS = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))  # x, y: counter-clockwise from east

_compile = numba.njit(cache=True, nogil=True)
_inline = numba.njit(cache=True, nogil=True, inline="always")


@_compile
def pick_largest(ranks: Bytes, nodes: Table, used: int, count: int, width: int) -> Ints:
    """For each of `count` levels the node whose contour encloses most, the one that begins last on equal areas.

    -1 without a node. ranks uint8: the pixels in a frame of 0, `width` with the frame; nodes int32 (`used` or more, 7).
    """
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
        bound = _bound(nodes, node)
        for level in range(nodes[node, LOW], nodes[node, HIGH] + 1):
            rivals[level] += 1
            if bound > bounds[level]:
                bounds[level] = bound
                widest[level] = node
    return widest, rivals


@_inline
def _bound(nodes: Table, node: int) -> int:
    """Twice the area of the box through the outermost pixel centres: no contour in it encloses more."""
    return 2 * np.int64(nodes[node, RIGHT] - nodes[node, LEFT]) * (nodes[node, BOTTOM] - nodes[node, TOP])


@_compile
def _can_win(nodes: Table, node: int, chosen: Ints, area: Ints, rivals: Ints) -> bool:
    bound, first = _bound(nodes, node), nodes[node, FIRST]
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
    if _bound(nodes, node) > 0:
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
