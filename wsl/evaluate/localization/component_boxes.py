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
from wsl.evaluate.localization.tree_steps import OUTSIDE, Bytes, Ints

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
    """The components of {rank > k} for all k >= 0, 8-connected (`diagonal`) or 4-connected.

    ranks uint8 (H + 2, W + 2), the image in a frame; codes of the same shape, see `encode_neighbours`. Both contiguous.
    Where the codes put the frame first (as ~code does), what reaches it is the outside and left out.
    """
    steps, width = _load_steps(), ranks.shape[1]
    points = _find_points(ranks, codes, diagonal)
    count, is_saddle = len(points.places), points.flags & SADDLE > 0
    arms = _list_arms(codes.ravel(), points.places[is_saddle], width, diagonal)
    offsets = list_offsets(width)[CODEBOOKS[diagonal].step]
    roots, labels = steps.follow(codes.ravel(), offsets, np.concatenate([points.places, arms.ravel()]), width)
    peaks = np.where(roots == OUTSIDE, _ALWAYS_OLDEST, ranks.ravel()[roots].astype(np.int64))
    tree = steps.join(*_sort(labels[count:].reshape(-1, 4), points.ranks[is_saddle]), peaks)
    lengths = np.where(roots == OUTSIDE, 0, np.maximum(peaks - tree[1], 0))
    values = _list_values(points.places, width)
    table = steps.measure(tree, lengths, labels[:count], points.ranks, points.flags >> 1, values)
    return _read(table, tree[1], lengths, width)


def _load_steps() -> ModuleType:
    return load_compiled("wsl.evaluate.localization.tree_steps_compiled") or tree_steps


def _find_points(ranks: Bytes, codes: Bytes, diagonal: bool) -> _Points:
    """Saddles and pixels that can be outermost; those of rank 0 are in no component."""
    flags = np.asarray(cv2.LUT(codes, CODEBOOKS[diagonal].flags), np.uint8)
    flags *= ranks > 0
    fill_frame(flags, 0)
    places = np.flatnonzero(flags > 0)
    return _Points(places, ranks.ravel()[places].astype(np.int64), flags.ravel()[places])


def _list_arms(codes: Bytes, saddles: Ints, width: int, diagonal: bool) -> Ints:
    """int64 (S, 4): a pixel in each group of earlier neighbours of a saddle, the first again for want of others."""
    arms = saddles[:, None] + list_offsets(width)[CODEBOOKS[diagonal].arms[codes[saddles]]]
    return np.where(arms == saddles[:, None], arms[:, :1], arms)


def _sort(labels: Ints, ranks: Ints) -> tuple[Ints, Ints]:
    """Saddles from the highest rank down."""
    order = np.argsort(-ranks, kind="stable")
    return labels[order], ranks[order]


def _list_values(places: Ints, width: int) -> Ints:
    """int64 (M, 4): what is largest at the left, top, right and bottom end of a component, in the order of SIDES."""
    y, x = np.divmod(places, width)
    return np.stack([-x, -places, x, y], axis=1)


def _read(table: Ints, since: Ints, lengths: Ints, width: int) -> ComponentBoxes:
    """Rows of the tree one after the other, each from its lowest level up."""
    starts = np.cumsum(lengths) - lengths
    levels = np.arange(len(table)) + np.repeat(since - starts, lengths)
    places = -table[:, 1]
    boxes = np.stack([-table[:, 0] - 1, places // width - 1, table[:, 2], table[:, 3]], axis=1)
    return ComponentBoxes(levels, boxes, places)
