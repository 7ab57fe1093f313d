from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import DataError
from wsl.report.panel import GAP, LEGEND_SIZE, TITLE_SIZE, draw_panel

RED = np.full((40, 60, 3), (200, 0, 0), np.uint8)
BLUE = np.full((20, 80, 3), (0, 0, 200), np.uint8)


def test_images_stand_side_by_side_under_a_band_for_titles() -> None:
    panel = draw_panel([("one", RED), ("two", BLUE)])
    top = TITLE_SIZE + GAP
    assert panel.shape == (top + 40 + GAP, 60 + 80 + 3 * GAP, 3)
    assert np.array_equal(panel[top : top + 40, GAP : GAP + 60], RED)
    assert np.array_equal(panel[top : top + 20, 2 * GAP + 60 : 2 * GAP + 140], BLUE)
    assert (panel[top + 20 :, 2 * GAP + 60 :] == 255).all()


def test_titles_are_written_above_their_image_only() -> None:
    band = draw_panel([("one", RED), ("", BLUE)])[: TITLE_SIZE + GAP]
    assert (band[:, GAP : GAP + 60] < 128).any()
    assert (band[:, GAP + 60 :] == 255).all()


def test_a_long_title_does_not_reach_the_next_image() -> None:
    band = draw_panel([("a title that is far too long", RED), ("", BLUE)])[: TITLE_SIZE + GAP]
    assert (band[:, GAP + 60 :] == 255).all()


def test_legend_swatches_follow_the_images() -> None:
    panel = draw_panel([("one", RED)], [("cat", (1, 2, 3)), ("dog", (4, 5, 6))])
    plain = draw_panel([("one", RED)])
    legend = panel[len(plain) :]
    line = LEGEND_SIZE + GAP
    assert len(legend) == 2 * line  # too narrow for both in one line
    assert (legend[:LEGEND_SIZE, GAP : GAP + LEGEND_SIZE] == (1, 2, 3)).all()
    assert (legend[line : line + LEGEND_SIZE, GAP : GAP + LEGEND_SIZE] == (4, 5, 6)).all()


def test_legend_stays_in_one_line_where_there_is_room() -> None:
    legend = [("cat", (1, 2, 3)), ("dog", (4, 5, 6))]
    wide = [("", np.zeros((20, 300, 3), np.uint8))]
    assert len(draw_panel(wide, legend)) - len(draw_panel(wide)) == LEGEND_SIZE + GAP


def test_an_endless_name_is_shortened_to_the_width() -> None:
    assert draw_panel([("one", RED)], [("x" * 500, (1, 2, 3))]).shape[1] == RED.shape[1] + 2 * GAP


@pytest.mark.parametrize(
    ("cells", "message"),
    [([], "at least one image"), ([("bad", np.zeros((4, 4)))], r"bad: expected uint8 \(H, W, 3\)")],
)
def test_bad_cells(cells: list[tuple[str, np.ndarray]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        draw_panel(cells)
