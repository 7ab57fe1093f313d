"""The grid of a figure: what is where, and that every overlay is the one of its class and column."""

from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import DataError
from wsl.report.figure import BAR_WIDTH, MIN_CELL, NOTE_BAND, TITLE_BAND, FigureRow, draw_figure, shorten_middle
from wsl.report.heat import draw_heat, draw_heat_overlay
from wsl.report.lettering import measure_text
from wsl.report.panel import GAP, TITLE_SIZE

SIDE = 160
IMAGE = np.full((80, SIDE, 3), 90, np.uint8)
RAMP = np.linspace(0, 1, SIDE, dtype=np.float32)[None].repeat(80, 0)
CELL = MIN_CELL + GAP


def cell_of(figure: np.ndarray, row: int, column: int) -> np.ndarray:
    """The picture in that place; column 0 is the image."""
    top = TITLE_BAND + row * (TITLE_BAND + 80 + NOTE_BAND) + TITLE_BAND
    left = GAP + column * CELL
    return figure[top : top + 80, left : left + SIDE]


def draw_two_by_two() -> np.ndarray:
    rows = [FigureRow("tabby", [RAMP, 1 - RAMP], ["7 x 7", ""]), FigureRow("dog", [RAMP**2, np.zeros_like(RAMP)])]
    return draw_figure(IMAGE, ["cam", "layer_cam"], rows, side=SIDE)


def test_rows_are_classes_and_columns_are_maps() -> None:
    figure = draw_two_by_two()
    maps = [[RAMP, 1 - RAMP], [RAMP**2, np.zeros_like(RAMP)]]
    for row in range(2):
        assert np.array_equal(cell_of(figure, row, 0), IMAGE)
        for column in range(2):
            assert np.array_equal(cell_of(figure, row, column + 1), draw_heat_overlay(IMAGE, maps[row][column]))


def test_titles_and_notes_are_written_where_they_belong() -> None:
    figure = draw_two_by_two()
    assert (figure[:TITLE_BAND, GAP + CELL : GAP + CELL + 30] < 128).any()
    notes = figure[2 * TITLE_BAND + 80 : 2 * TITLE_BAND + 80 + NOTE_BAND]
    assert (notes[:, GAP + CELL :][:, :60] < 128).any()
    assert (notes[:, GAP + 2 * CELL :] == 255).all()


def test_bar_shows_the_colours_from_high_to_low() -> None:
    left = GAP + 3 * CELL
    bar = draw_two_by_two()[2 * TITLE_BAND : 2 * TITLE_BAND + 80, left : left + BAR_WIDTH]
    assert np.array_equal(bar[:, 0], draw_heat(np.linspace(1, 0, 80, dtype=np.float32)[:, None])[:, 0])


def test_maps_outside_0_to_1_share_their_row_s_extremes() -> None:
    row = FigureRow("signed", [RAMP * 4 - 2, RAMP])
    figure = draw_figure(IMAGE, ["a", "b"], [row], side=SIDE)
    assert np.array_equal(cell_of(figure, 0, 2), draw_heat_overlay(IMAGE, RAMP, span=(-2.0, 2.0)))


@pytest.mark.parametrize("size", [(1, 1), (300, 2), (2, 300)])
def test_any_shape_can_be_drawn(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    figure = draw_figure(image, ["method with a long name"], [FigureRow("class", [np.zeros(size, np.float32)])])
    assert figure.dtype == np.uint8
    assert figure.shape[1] > 2 * MIN_CELL


def test_long_names_keep_both_ends() -> None:
    name = "grad_cam net.encoder.layers.encoder_layer_11.ln_1"
    short = shorten_middle(name, TITLE_SIZE, 200)
    assert short.startswith("grad_cam")
    assert short.endswith("11.ln_1")
    assert measure_text(short, TITLE_SIZE)[0] <= 200
    assert shorten_middle("cam", TITLE_SIZE, 200) == "cam"
    assert shorten_middle("cam", TITLE_SIZE, 1) == "…"


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        ([], [FigureRow("a", [])], "at least one class and one map"),
        (["cam"], [], "at least one class and one map"),
        (["cam"], [FigureRow("cat", [RAMP, RAMP])], "cat: expected 1 maps and notes, but got 2 and 0"),
        (["cam"], [FigureRow("cat", [RAMP], ["a", "b"])], "cat: expected 1 maps and notes, but got 1 and 2"),
        (["cam"], [FigureRow("cat", [RAMP[:5]])], "image is 80x160 but map of cat is 5x160"),
    ],
)
def test_bad_grids(columns: list[str], rows: list[FigureRow], message: str) -> None:
    with pytest.raises(DataError, match=message):
        draw_figure(IMAGE, columns, rows)
