from __future__ import annotations

import numpy as np
import pytest

from wsl.report.lettering import draw_tag, draw_text, measure_text, shorten_text, text_colour

PAPER = np.full((50, 120, 3), 255, np.uint8)


def test_short_text_is_kept_and_long_text_cut_to_the_width() -> None:
    assert shorten_text("cat", 14, 200) == "cat"
    cut = shorten_text("a rather long class name", 14, 80)
    assert cut.endswith("…")
    assert measure_text(cut, 14)[0] <= 80 < measure_text("a rather long class name", 14)[0]


def test_text_is_drawn_at_its_place_on_a_copy() -> None:
    drawn = draw_text(PAPER, (20, 10), "cat", 14, (0, 0, 0))
    rows, columns = np.nonzero((drawn < 128).any(2))
    assert 10 <= rows.min() <= 20
    assert 20 <= columns.min() <= 24
    assert (PAPER == 255).all()


@pytest.mark.parametrize(
    ("xy", "rows"), [((10, 40), slice(20, 40)), ((10, 0), slice(0, 20)), ((115, 30), slice(10, 30))]
)
def test_tag_stands_above_its_point_or_below_at_the_top_edge(xy: tuple[int, int], rows: slice) -> None:
    drawn = draw_tag(PAPER, xy, "cat", (200, 0, 0))
    plate = np.nonzero((drawn == (200, 0, 0)).all(2))
    assert rows.start <= plate[0].min()
    assert plate[0].max() < rows.stop
    assert plate[1].max() < 120


def test_text_colour_is_the_readable_one() -> None:
    assert text_colour((255, 255, 0)) == (0, 0, 0)
    assert text_colour((0, 0, 255)) == (255, 255, 255)
