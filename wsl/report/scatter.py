"""Small scatter plots in a grid: one setting each, what it was against what came out, with the mean of each bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from wsl.errors import DataError
from wsl.report.lettering import load_font, measure_text, shorten_text
from wsl.report.panel import GAP, INK, LEGEND_SIZE, PAPER, TITLE_SIZE
from wsl.types import Image

WIDTH, HEIGHT, COLUMNS = 300, 180, 3  # pixels of one plot, plots in a row
MARGIN = 46  # room for the numbers at the left
DOT, DOTS, BAR = 3, (42, 157, 255), (230, 57, 70)
BAND = TITLE_SIZE + GAP


@dataclass(frozen=True)
class Scatter:
    """`points` (x, y), all finite; `bins` (label, mean y) in the order of x, drawn as bars of equal width."""

    title: str
    points: Sequence[tuple[float, float]]
    bins: Sequence[tuple[str, float]]


def draw_scatters(plots: Sequence[Scatter]) -> Image:
    """RGB uint8 (H, W, 3), three plots in a row; all share the vertical axis, so heights can be compared.

    Raises DataError without plots, or for a plot without points.
    """
    if not plots or not all(plot.points and plot.bins for plot in plots):
        raise DataError("Expected at least one plot, each with points and bins.")
    values = np.array([y for plot in plots for _, y in plot.points])
    span = float(values.min()), float(values.max())
    cells = [_draw_plot(plot, span) for plot in plots]
    blank = np.full_like(cells[0], PAPER[0])
    columns = min(COLUMNS, len(cells))
    cells += [blank] * (-len(cells) % columns)
    return np.concatenate([np.concatenate(cells[at : at + columns], axis=1) for at in range(0, len(cells), columns)])


def _draw_plot(plot: Scatter, span: tuple[float, float]) -> Image:
    picture = PillowImage.new("RGB", (WIDTH, HEIGHT + BAND + 2 * LEGEND_SIZE), PAPER)
    pen, small = ImageDraw.Draw(picture), load_font(LEGEND_SIZE - 3)
    pen.text((GAP, 3), shorten_text(plot.title, LEGEND_SIZE, WIDTH - 2 * GAP), fill=INK, font=load_font(LEGEND_SIZE))
    pen.rectangle((MARGIN, BAND, WIDTH - GAP, BAND + HEIGHT - 1), outline=INK)
    for value in span:
        pen.text((GAP, _row(value, span) - 6), f"{value:.3g}", fill=INK, font=small)
    width = (WIDTH - GAP - MARGIN) / len(plot.bins)
    for number, (label, mean) in enumerate(plot.bins):
        left = MARGIN + number * width
        pen.rectangle((left + 3, _row(mean, span) - 1, left + width - 3, _row(mean, span) + 1), fill=BAR)
        text = shorten_text(label, LEGEND_SIZE - 3, int(width) - 4)
        place = left + (width - measure_text(text, LEGEND_SIZE - 3)[0]) / 2
        pen.text((place, BAND + HEIGHT + 4), text, fill=INK, font=small)
    for x, y in _place_points(plot, width):
        row = _row(y, span)
        pen.ellipse((x - DOT, row - DOT, x + DOT, row + DOT), outline=DOTS)
    return np.array(picture)


def _row(value: float, span: tuple[float, float]) -> int:
    low, high = span
    share = (value - low) / (high - low) if high > low else 0.5
    return round(BAND + HEIGHT - 8 - share * (HEIGHT - 16))


def _place_points(plot: Scatter, width: float) -> list[tuple[float, float]]:
    """Points by the rank of their x, so that they stand in equal numbers over equal bins."""
    different = sorted({x for x, _ in plot.points})
    if len(different) <= len(plot.bins):
        return [(MARGIN + (different.index(x) + 0.5) * width, y) for x, y in plot.points]
    step = len(plot.bins) * width / len(different)
    return [(MARGIN + (different.index(x) + 0.5) * step, y) for x, y in plot.points]
