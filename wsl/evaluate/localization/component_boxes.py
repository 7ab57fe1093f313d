"""Boxes of the connected components of all level sets of an image, from a tree over its few critical pixels.

Pixels are added from the highest rank down. A component begins at a pixel without an earlier neighbour, a root, and
every pixel is led to a root by earlier and earlier neighbours. Components can meet only at saddles, so the tree joins
roots at the ranks of saddles, as merge trees are built (Carr, Snoeyink and Axen, Computational Geometry 24, 2003). A
row of the tree is the component of one root, at the levels from where an older one takes it in up to where it begins.
Its box is that of the pixels which no earlier neighbour outdoes; all others are never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import cv2
import numpy as np

from wsl.compiled import load_compiled
from wsl.evaluate.localization import tree_steps
from wsl.evaluate.localization.neighbourhoods import CODEBOOKS, SADDLE, fill_frame, list_offsets
from wsl.evaluate.localization.tree_steps import Bytes, Ints

_ALWAYS_OLDEST = 256  # above all ranks


@dataclass(frozen=True)
class ComponentBoxes:
    """M components, each at one level: `levels` int64 (M,); `boxes` int64 (M, 4), half-open xyxy in pixels; `places`
    int64 (M,), one pixel in the topmost row of the component, counted in the image with its frame."""

    levels: Ints
    boxes: Ints
    places: Ints


@dataclass(frozen=True)
class _Points:
    """What is known of M critical pixels: `places` int64 in the flat image with its frame, `ranks` int64, `flags`."""

    places: Ints
    ranks: Ints
    flags: Bytes


def find_components(ranks: Bytes, codes: Bytes, diagonal: bool) -> ComponentBoxes:
    """The components of {rank > k} for all k >= 0, 8-connected (`diagonal`) or 4-connected, without the one of the
    frame where components have code 0 on the frame.

    ranks uint8 (H + 2, W + 2), the image in a frame; codes of the same shape, see `encode_neighbours`. Both contiguous.
    """
    steps = _load_steps()
    points = _find_points(ranks, codes, diagonal)
    is_saddle = points.flags & SADDLE > 0
    arms = _list_arms(codes.ravel(), points.places[is_saddle], ranks.shape[1], diagonal)
    offsets = list_offsets(ranks.shape[1])[CODEBOOKS[diagonal].step]
    ends = steps.follow(codes.ravel(), offsets, np.concatenate([points.places, arms.ravel()]))
    roots, labels = _number(_bring_to_one_corner(ends, ranks.shape), ranks.size)
    peaks = np.where(roots == 0, _ALWAYS_OLDEST, ranks.ravel()[roots].astype(np.int64))
    count = len(points.places)
    tree = steps.join(_list_edges(labels[count:].reshape(-1, 4), points.ranks[is_saddle]), peaks)
    lengths = np.where(roots == 0, 0, np.maximum(peaks - tree[1], 0))
    x = points.places % ranks.shape[1]
    values = np.stack([-x, -points.places, x, points.places])
    table = steps.measure(tree, lengths, labels[:count], points.ranks, points.flags >> 1, values)
    return _read(table, tree[1], lengths, ranks.shape[1])


def _load_steps() -> ModuleType:
    return load_compiled("wsl.evaluate.localization.tree_steps_compiled") or tree_steps


def _find_points(ranks: Bytes, codes: Bytes, diagonal: bool) -> _Points:
    """Saddles and pixels that can be outermost; those of rank 0 are in no component."""
    flags = np.asarray(cv2.LUT(codes, CODEBOOKS[diagonal].flags), np.uint8)
    fill_frame(flags, 0)
    places = np.flatnonzero(flags)
    found = ranks.ravel()[places].astype(np.int64)
    places, found = places[found > 0], found[found > 0]
    return _Points(places, found, flags.ravel()[places])


def _list_arms(codes: Bytes, saddles: Ints, width: int, diagonal: bool) -> Ints:
    """int64 (S, 4): a pixel in each group of earlier neighbours of a saddle, the first again for want of others."""
    arms = saddles[:, None] + list_offsets(width)[CODEBOOKS[diagonal].arms[codes[saddles]]]
    return np.where(arms == saddles[:, None], arms[:, :1], arms)


def _bring_to_one_corner(places: Ints, shape: tuple[int, ...]) -> Ints:
    """Places on the frame become place 0: all that reaches the frame is one."""
    y, x = np.divmod(places, shape[1])
    return np.where((x == 0) | (x == shape[1] - 1) | (y == 0) | (y == shape[0] - 1), 0, places)


def _number(places: Ints, size: int) -> tuple[Ints, Ints]:
    """The distinct places, ascending, and for each place its position among them."""
    is_there = np.zeros(size, np.bool_)
    is_there[places] = True
    distinct = np.flatnonzero(is_there)
    position = np.empty(size, np.int64)
    position[distinct] = np.arange(len(distinct))
    return distinct, position[places]


def _list_edges(labels: Ints, ranks: Ints) -> Ints:
    """int64 (E, 3): root, root, rank, descending; the roots (S, 4) around each saddle are joined to the first."""
    saddle, arm = np.nonzero(labels[:, 1:] != labels[:, :1])
    edges = np.stack([labels[saddle, 0], labels[saddle, arm + 1], ranks[saddle]], axis=1)
    return edges[np.argsort(-edges[:, 2], kind="stable")]


def _read(table: Ints, since: Ints, lengths: Ints, width: int) -> ComponentBoxes:
    starts = np.cumsum(lengths) - lengths
    levels = np.arange(table.shape[1]) + np.repeat(since - starts, lengths)
    boxes = np.stack([-table[0] - 1, -table[1] // width - 1, table[2], table[3] // width], axis=1)
    return ComponentBoxes(levels, boxes, -table[1])
