"""What the eight neighbours of a pixel tell about it when pixels are added one by one, from the highest rank down.

A code has a bit for every neighbour that was added before the pixel. It tells where components can begin or meet and
where they can reach furthest, so the few pixels at which something happens are found without following every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

RING = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))  # y, x: bit 0 = east, then clockwise
NOWHERE = 8
SADDLE = 1
SIDES = (2, 4, 8, 16)  # flags: left, top, right, bottom
_WINDOW = 9  # pixels; wider plateaus than that give needless saddles, a larger window is too blunt for small ones
_TIE_SCALE = 2.0**-15  # brings the sum of a window, at most 81 * 255, below 1


@dataclass(frozen=True)
class Codebook:
    """The meaning of all 256 codes. Directions count along RING, NOWHERE for none.

    arms: int64 (256, 4), a neighbour in each group of earlier neighbours that do not touch around the pixel; only
    where groups are two or more can components meet. step: int64 (256,), the neighbour in the middle of the largest
    group; who follows it comes to where the component began. flags: uint8 (256,), SADDLE and SIDES: whether the pixel
    can be the one that makes a component reach as far as it does (no earlier neighbour beside it or further out).
    """

    arms: NDArray[np.int64]
    step: NDArray[np.int64]
    flags: NDArray[np.uint8]


def encode_neighbours(ranks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H + 2, W + 2): the codes of ranks uint8 (H, W), for the sweep from the highest; ~code is for the other.

    Of equal ranks the one with the higher mean around it comes first, so that slopes cut into steps stay slopes; then
    the one later in raster order. Outside of the image all comes last; the frame itself has code 255.
    """
    keys = cv2.boxFilter(ranks, cv2.CV_32F, (_WINDOW, _WINDOW), normalize=False, borderType=cv2.BORDER_REPLICATE)
    keys *= np.float32(_TIE_SCALE)
    cv2.accumulate(ranks, keys)  # rank + what decides between equal ranks, exactly: 8 + 15 bits
    order = np.asarray(cv2.copyMakeBorder(keys, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=-1))
    codes = np.full(order.shape, 0b11110000, np.uint8)  # of two neighbours the one before in raster order is first
    flat, values = codes.ravel(), order.ravel()
    for direction, offset in enumerate(list_offsets(order.shape[1])[:4].tolist()):
        is_earlier = (values[offset:] >= values[:-offset]).view(np.uint8)
        flat[:-offset] |= is_earlier * np.uint8(1 << direction)
        flat[offset:] ^= is_earlier * np.uint8(1 << (direction + 4))
    fill_frame(codes, 255)
    return codes


def list_offsets(width: int) -> NDArray[np.int64]:
    """int64 (9,): the way to each neighbour, and 0 for NOWHERE, in a flat image of rows of `width`."""
    return np.array([y * width + x for y, x in RING] + [0], np.int64)


def fill_frame(image: NDArray[np.uint8], value: int) -> None:
    """Writes `value` to the outermost rows and columns."""
    image[0] = image[-1] = value
    image[:, 0] = image[:, -1] = value


def make_codebook(diagonal: bool) -> Codebook:
    """For components that are 8-connected (`diagonal`) or 4-connected."""
    arms, step = np.full((256, 4), NOWHERE, np.int64), np.full(256, NOWHERE, np.int64)
    flags = np.zeros(256, np.uint8)
    for code in range(256):
        groups = _group(code, diagonal)
        middles = [group[len(group) // 2] for group in groups]
        arms[code, : len(groups)] = middles
        if groups:
            step[code] = middles[int(np.argmax([len(group) for group in groups]))]
        flags[code] = (SADDLE if len(groups) > 1 else 0) + _find_sides(code, diagonal)
    return Codebook(arms, step, flags)


def _group(code: int, diagonal: bool) -> list[list[int]]:
    """The earlier neighbours, in groups that touch each other around the pixel."""
    earlier = [direction for direction in range(8) if code >> direction & 1 and (diagonal or direction % 2 == 0)]
    breaks = [
        place for place, direction in enumerate(earlier) if not _touch(earlier[place - 1], direction, code, diagonal)
    ]
    if not breaks:
        return [earlier] if earlier else []
    turned = earlier[breaks[0] :] + earlier[: breaks[0]]
    ends = [place - breaks[0] for place in breaks] + [len(earlier)]
    return [turned[begin:end] for begin, end in pairwise(ends)]


def _touch(first: int, second: int, code: int, diagonal: bool) -> bool:
    """Whether two neighbours that follow each other clockwise are connected without the pixel between them."""
    gap = (second - first) % 8
    if diagonal:
        return gap <= 1 or (gap == 2 and second % 2 == 0)
    return gap == 0 or (gap == 2 and bool(code >> (first + 1) & 1))


def _find_sides(code: int, diagonal: bool) -> int:
    """Flags of the sides on which no earlier neighbour lies further out or beside the pixel."""
    flags = 0
    for flag, out in zip(SIDES, (4, 6, 0, 2), strict=True):
        others = (out, out + 2, out - 2) + ((out + 1, out - 1) if diagonal else ())
        if not any(code >> direction % 8 & 1 for direction in others):
            flags |= flag
    return flags


CODEBOOKS = {diagonal: make_codebook(diagonal) for diagonal in (True, False)}
