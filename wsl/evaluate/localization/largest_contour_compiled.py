"""The largest of several components of a level set, compiled; the same as `largest_contour` finds with OpenCV."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

_STEPS = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))  # x, y: counter-clockwise from east


@numba.njit(cache=True, nogil=True)
def find_largest(ranks: Bytes, places: Ints, bounds: Ints, level: int) -> tuple[int, float]:
    """(index, area) of the component of {rank > level} that encloses most, the last to begin on equal areas.

    ranks uint8 (H + 2, W + 2), contiguous, in a frame of 0. places int64 (M,): a pixel in the topmost row of each
    component, counted in `ranks`; bounds int64 (M,), ascending: what each encloses at most, 0 only for a line.
    """
    flat, width = ranks.ravel(), ranks.shape[1]
    best, most, first = -1, -1, -1
    for index in range(len(places) - 1, -1, -1):
        if 2 * bounds[index] < most:
            break
        place, area = places[index], 0
        while flat[place - 1] > level:
            place -= 1
        if bounds[index] > 0:
            place, area = _trace(flat, place, level, width)
        if area > most or (area == most and place > first):
            best, most, first = index, area, place
    return best, most / 2


@numba.njit(cache=True, nogil=True)
def _trace(ranks: Bytes, start: int, level: int, width: int) -> tuple[int, int]:
    """(first pixel in raster order, twice the area inside) of the outer border that `start` is on, with nothing west,
    north-west, north and north-east of it.

    Border following of Suzuki and Abe (1985), shoelace formula over the pixel centres.
    """
    steps = np.empty(8, np.int64)
    for direction, (x, y) in enumerate(_STEPS):
        steps[direction] = y * width + x
    direction = 3
    while ranks[start + steps[direction]] <= level:
        direction = (direction - 1) % 8
        if direction == 4:
            return start, 0
    last = start + steps[direction]
    first, place, x, y, area = start, start, 0, 0, 0
    while True:
        direction = (direction + 1) % 8
        while ranks[place + steps[direction]] <= level:
            direction = (direction + 1) % 8
        move_x, move_y = _STEPS[direction]
        area += x * move_y - y * move_x
        x, y = x + move_x, y + move_y
        following = place + steps[direction]
        if following == start and place == last:
            return first, abs(area)
        first = min(first, following)
        place, direction = following, (direction + 4) % 8
