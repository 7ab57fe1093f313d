"""Building a permutohedral lattice, compiled; the same vertices and weights as `simplices` and `vertices` find."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsl.refine.crf.filter_compiled import add_one_filtered
from wsl.refine.crf.filter_more_compiled import add_four_filtered, add_two_filtered
from wsl.refine.crf.links_compiled import link_vertices
from wsl.refine.crf.numbers_compiled import number_corners
from wsl.refine.crf.scratch import WordPool, borrow_words
from wsl.refine.crf.simplices import Floats, compute_scales
from wsl.refine.crf.softmax_compiled import normalise_labels, normalise_two
from wsl.refine.crf.vertices import Grid

__all__ = ["add_filtered", "build_graph", "normalise_labels", "normalise_two"]

Indices = NDArray[np.uint32]

_LEAST_SLOTS = 2**13
_LOOPS = ((4, add_four_filtered), (2, add_two_filtered), (1, add_one_filtered))


def build_graph(features: Floats, grid: Grid, memory: WordPool | None) -> tuple[Indices, Floats, Indices, Indices]:
    """(corners, weights, after, before) as in `Lattice`, weights barycentric. features: float32 (d, N), contiguous.

    A key of the grid and a vertex number must fit in 62 bits. memory: where the results live, None = they are new.
    """
    count, pixels = len(features) + 1, features.shape[1]
    padded = (pixels + 3) // 4 * 4
    most, slots = padded * count, max(_LEAST_SLOTS, 1 << (2 * padded).bit_length())
    room = borrow_words(most + max(slots, 3 * most))
    kept = _take_words(count * pixels, memory)
    corners = kept.view(np.uint32)[: count * pixels].reshape(count, pixels)
    weights = kept.view(np.float32)[count * pixels : 2 * count * pixels].reshape(count, pixels)
    strides, shift = np.array(grid.strides, np.int64), np.uint64(most.bit_length())
    vertices, table = room[:most], room[most : most + slots]
    used = number_corners(
        features, compute_scales(count - 1), strides, grid.origin, shift, table, vertices, corners, weights
    )
    # the table is not needed any more, so its room and what follows it are free for sorting
    more = room[most : most + 3 * used]
    links = _take_words(count * (used + 1), memory).view(np.uint32)[: 2 * count * (used + 1)]
    after, before = links.reshape(2, count, used + 1)
    sorting = more[:used], more[used : 2 * used].view(np.int64), more[2 * used :].view(np.uint32)
    link_vertices(vertices[:used], shift, strides, *sorting, corners.reshape(-1), after, before)
    return corners, weights, after, before


def _take_words(count: int, memory: WordPool | None) -> NDArray[np.uint64]:
    return np.empty(count, np.uint64) if memory is None else memory.take(count)


def add_filtered(
    corners: Indices, weights: Floats, after: Indices, before: Indices, planes: Floats, gain: float, out: Floats
) -> None:
    """out += gain * planes filtered, float32 (C, N) each; the rest as in `Lattice`, all contiguous."""
    axes, slots, done = tuple(range(len(after))), after.shape[1], 0
    for width, add in _LOOPS:
        while len(planes) - done >= width:
            room = borrow_words(width * slots).view(np.float32)[: 2 * width * slots].reshape(2, slots, width)
            some = slice(done, done + width)
            add(corners, weights, after, before, planes[some], np.float32(gain), out[some], room[0], room[1], axes)
            done += width
