"""Literal references: RLE read one character and one pixel at a time, VOC's colours bit by bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def read_counts(text: str) -> list[int]:
    """The runs of COCO's compressed text, as the format's description says, one character at a time."""
    runs: list[int] = []
    position = 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            code = ord(text[position]) - 48
            value |= (code & 0x1F) << shift
            more = bool(code & 0x20)
            shift += 5
            position += 1
            if not more and code & 0x10:
                value |= -1 << shift
        if len(runs) > 2:
            value += runs[-2]
        runs.append(value)
    return runs


def fill_runs(runs: list[int], height: int, width: int) -> NDArray[np.bool_]:
    """The mask of runs that go down the columns, beginning with 0."""
    mask = np.zeros((height, width), np.bool_)
    position = 0
    for number, run in enumerate(runs):
        for _ in range(run):
            mask[position % height, position // height] = number % 2 == 1
            position += 1
    return mask


def voc_colour(class_id: int) -> tuple[int, int, int]:
    """The colour of one class id: bit 0, 3, 6 of the id go to red, 1, 4, 7 to green, 2, 5 to blue, from the top."""
    red = green = blue = 0
    rest = class_id
    for bit in range(7, -1, -1):
        red |= (rest & 1) << bit
        green |= (rest >> 1 & 1) << bit
        blue |= (rest >> 2 & 1) << bit
        rest >>= 3
    return red, green, blue
