"""Class maps of one image in a grid: a row per class, a column per method and layer, a bar for the colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsl.checks import check_same_size
from wsl.errors import DataError
from wsl.report.heat import Map, Span, draw_heat, draw_heat_overlay, find_span
from wsl.report.lettering import draw_text, measure_text, shorten_text
from wsl.report.overlay import resize_for_display
from wsl.report.panel import GAP, INK, LEGEND_SIZE, PAPER, TITLE_SIZE
from wsl.types import Image

FIGURE_SIDE = 256
MIN_CELL = 200  # pixels that a title has, however narrow the image is
BAR_WIDTH = 14
TICK = 4
LABEL_WIDTH = 44  # room for "0.125" beside the bar
TITLE_BAND = TITLE_SIZE + GAP
NOTE_BAND = LEGEND_SIZE + GAP


@dataclass(frozen=True)
class FigureRow:
    """One class: `title` above its row, and per column its map (H, W) with a line of text below it."""

    title: str
    maps: Sequence[Map]
    notes: Sequence[str] = ()


def draw_figure(
    image: Image,
    columns: Sequence[str],
    rows: Sequence[FigureRow],
    colour: str = "turbo",
    alpha: float = 0.5,
    side: int = FIGURE_SIDE,
) -> Image:
    """RGB uint8 picture: the image at the left of every row, then one overlay per column.

    columns: titles, one for each map of a row. side: pixels of the longer side of each small picture. The bar at the
    right of a row shows which colour stands for which value; all maps of a row share it.
    Raises DataError without rows, for a row with another number of maps, or for maps of another size than the image.
    """
    _check_rows(image, columns, rows)
    shown = resize_for_display(image, side)
    head = _draw_line(["image", *columns], _cell_width(shown), TITLE_SIZE, TITLE_BAND)
    parts = [head, *[part for row in rows for part in _draw_row(image, shown, row, colour, alpha)]]
    return np.concatenate(parts)


def _check_rows(image: Image, columns: Sequence[str], rows: Sequence[FigureRow]) -> None:
    if not rows or not columns:
        raise DataError(
            f"Expected at least one class and one map for a figure, but got {len(rows)} and {len(columns)}."
        )
    for row in rows:
        if len(row.maps) != len(columns) or len(row.notes) not in (0, len(columns)):
            raise DataError(
                f"{row.title}: expected {len(columns)} maps and notes, but got {len(row.maps)} and {len(row.notes)}."
            )
        for score_map in row.maps:
            check_same_size(image, score_map, "image", f"map of {row.title}")


def _draw_row(image: Image, shown: Image, row: FigureRow, colour: str, alpha: float) -> list[Image]:
    """Title, pictures with the bar, notes; all of one width."""
    span = _common_span(row.maps)
    cell_width = _cell_width(shown)
    width = _figure_width(len(row.maps), cell_width)
    cells = [shown, *[_draw_small(image, shown, each, colour, alpha, span) for each in row.maps]]
    strip = np.full((shown.shape[0], width, 3), PAPER, np.uint8)
    for index, cell in enumerate(cells):
        left = _cell_left(index, cell_width)
        strip[:, left : left + cell.shape[1]] = cell
    left = _cell_left(len(cells), cell_width)
    bar = _draw_bar(shown.shape[0], colour, span)
    strip[:, left : left + bar.shape[1]] = bar
    title = np.full((TITLE_BAND, width, 3), PAPER, np.uint8)
    title = draw_text(title, (GAP, 3), shorten_text(row.title, TITLE_SIZE, width - 2 * GAP), TITLE_SIZE, INK)
    notes = ["", *(row.notes or [""] * len(row.maps))]
    return [title, strip, _draw_line(notes, cell_width, LEGEND_SIZE, NOTE_BAND)]


def _common_span(maps: Sequence[Map]) -> Span:
    spans = [find_span(each) for each in maps]
    return min(low for low, _ in spans), max(high for _, high in spans)


def _draw_small(image: Image, shown: Image, score_map: Map, colour: str, alpha: float, span: Span) -> Image:
    """The overlay at display size; drawn large first, so that it is the full-size overlay made smaller."""
    drawn = draw_heat_overlay(image, score_map, colour, alpha, span)
    return resize_for_display(drawn, max(shown.shape[:2]))


def _draw_bar(height: int, colour: str, span: Span) -> Image:
    """Colours from the highest value at the top to the lowest at the bottom, with both values and the middle."""
    values = np.linspace(1, 0, height, dtype=np.float32)
    bar = np.full((height, BAR_WIDTH + LABEL_WIDTH, 3), PAPER, np.uint8)
    bar[:, :BAR_WIDTH] = draw_heat(values[:, None], colour, (0.0, 1.0))
    line = measure_text("0", LEGEND_SIZE)[1]
    for share in (1.0, 0.5, 0.0):
        row = round((1 - share) * (height - 1))
        bar[row, BAR_WIDTH : BAR_WIDTH + TICK] = INK
        top = min(max(row - line // 2, 0), max(height - line - 1, 0))
        text = f"{span[0] + share * (span[1] - span[0]):.3g}"
        bar = draw_text(bar, (BAR_WIDTH + TICK + 3, top), text, LEGEND_SIZE, INK)
    return bar


def _draw_line(texts: Sequence[str], cell: int, size: int, height: int) -> Image:
    """One text per cell, each cut to the cell's width."""
    line = np.full((height, _figure_width(len(texts) - 1, cell), 3), PAPER, np.uint8)
    for index, text in enumerate(texts):
        if text:
            line = draw_text(line, (_cell_left(index, cell), 3), shorten_middle(text, size, cell), size, INK)
    return line


def shorten_middle(text: str, size: int, width: int) -> str:
    """The text if it fits into `width` pixels, otherwise its start and end around '…': layers differ at their ends."""
    for kept in range(len(text), 0, -1):
        shown = text if kept == len(text) else text[: kept // 2] + "…" + text[len(text) - (kept - kept // 2) :]
        if measure_text(shown, size)[0] <= width:
            return shown
    return "…"


def _cell_width(shown: Image) -> int:
    return max(shown.shape[1], MIN_CELL)


def _cell_left(index: int, cell: int) -> int:
    return GAP + index * (cell + GAP)


def _figure_width(maps: int, cell: int) -> int:
    return _cell_left(maps + 1, cell) + BAR_WIDTH + LABEL_WIDTH + GAP
