from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsl.errors import DataError
from wsl.evaluate.segmentation.baseline import centre_box_label_map


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_area_form_and_place(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))
    area = data.draw(st.integers(0, height * width))
    label_map = centre_box_label_map((height, width), area, 7)
    rows, columns = np.flatnonzero(label_map.any(axis=1)), np.flatnonzero(label_map.any(axis=0))
    assert (label_map == 7).sum() == len(rows) * len(columns)
    # the shorter side is rounded up or down to whole pixels, the longer one then costs at most half of that
    shorter = math.ceil(math.sqrt(area * min(height, width) / max(height, width)) - 1e-9)
    assert abs(int((label_map == 7).sum()) - area) <= shorter / 2
    if area:
        assert abs((rows[0]) - (height - 1 - rows[-1])) <= 1
        assert abs((columns[0]) - (width - 1 - columns[-1])) <= 1


def test_hand_worked_box() -> None:
    expected = np.zeros((4, 8), np.uint8)
    expected[1:3, 2:6] = 3
    np.testing.assert_array_equal(centre_box_label_map((4, 8), 8, 3), expected)
    assert (centre_box_label_map((4, 8), 32, 1) == 1).all()
    assert not centre_box_label_map((4, 8), 0, 1).any()


def test_an_area_larger_than_the_image_is_refused() -> None:
    with pytest.raises(DataError, match=r"expected 0\.\.32 pixels"):
        centre_box_label_map((4, 8), 33, 1)
