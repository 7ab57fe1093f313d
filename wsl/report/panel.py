"""Images side by side with a title above each and a legend of class colours below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsl.checks import check_image
from wsl.errors import DataError
from wsl.report.colours import Colour
from wsl.report.lettering import draw_text, measure_text, shorten_text
from wsl.types import Image

TITLE_SIZE = 16
LEGEND_SIZE = 14
GAP = 8
PAPER: Colour = (255, 255, 255)
INK: Colour = (40, 44, 52)


def draw_panel(cells: Sequence[tuple[str, Image]], legend: Sequence[tuple[str, Colour]] = ()) -> Image:
    """(title, image) cells in one row on white, images aligned at the top; then legend entries, wrapped to the width.

    Raises DataError when there is no cell.
    """
    if not cells:
        raise DataError("Expected at least one image for a panel, but got none.")
    for title, image in cells:
        check_image(image, title)
    band = TITLE_SIZE + GAP
    width = sum(image.shape[1] for _, image in cells) + GAP * (len(cells) + 1)
    height = max(image.shape[0] for _, image in cells) + band + GAP
    panel = np.full((height, width, 3), PAPER, np.uint8)
    left = GAP
    for title, image in cells:
        rows, columns = image.shape[:2]
        panel[band : band + rows, left : left + columns] = image
        panel = draw_text(panel, (left, 3), shorten_text(title, TITLE_SIZE, columns), TITLE_SIZE, INK)
        left += columns + GAP
    return np.concatenate([panel, _draw_legend(legend, width)])


def _draw_legend(legend: Sequence[tuple[str, Colour]], width: int) -> Image:
    """Colour swatches with names, (rows, width, 3); no rows for an empty legend."""
    line = LEGEND_SIZE + GAP
    places, lines = _place_legend([name for name, _ in legend], width)
    drawn = np.full((lines * line, width, 3), PAPER, np.uint8)
    for (_, colour), (text, left, row) in zip(legend, places, strict=True):
        top = row * line
        drawn[top : top + LEGEND_SIZE, left : left + LEGEND_SIZE] = colour
        drawn = draw_text(drawn, (left + LEGEND_SIZE + 5, top - 1), text, LEGEND_SIZE, INK)
    return drawn


def _place_legend(names: Sequence[str], width: int) -> tuple[list[tuple[str, int, int]], int]:
    """(text, x, line) for each name, and the number of lines; a name wider than a line is shortened."""
    places: list[tuple[str, int, int]] = []
    left, row = GAP, 0
    for name in names:
        text = shorten_text(name, LEGEND_SIZE, max(width - LEGEND_SIZE - 5 - 2 * GAP, 1))
        needed = LEGEND_SIZE + 5 + measure_text(text, LEGEND_SIZE)[0]
        if left > GAP and left + needed + GAP > width:
            left, row = GAP, row + 1
        places.append((text, left, row))
        left += needed + 2 * GAP
    return places, row + 1 if names else 0
