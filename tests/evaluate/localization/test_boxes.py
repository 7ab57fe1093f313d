from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from wsl.errors import DataError
from wsl.evaluate.localization.boxes import compute_box_iou, to_array
from wsl.types import Box

corner = st.integers(0, 12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(corner, corner, corner, corner), min_size=2, max_size=6), st.booleans())
def test_agrees_with_counting_pixels(corners: list[tuple[int, int, int, int]], inclusive: bool) -> None:
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    extra = int(inclusive)
    masks = np.zeros((len(boxes), 14, 14), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1 : y2 + extra, x1 : x2 + extra] = True
    for row, first in enumerate(masks):
        for column, second in enumerate(masks):
            union = (first | second).sum()
            expected = (first & second).sum() / union if union else 0.0
            assert compute_box_iou(boxes, boxes, inclusive)[row, column] == pytest.approx(expected)


def test_agrees_with_pycocotools() -> None:
    generator = np.random.default_rng(0)
    boxes = generator.random((2, 20, 4)) * 50
    iou = coco_mask.iou(boxes[0], boxes[1], [0] * 20)
    xyxy = np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=2)
    np.testing.assert_allclose(compute_box_iou(xyxy[0], xyxy[1]), iou, atol=1e-12)


def test_no_boxes() -> None:
    assert compute_box_iou([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert to_array([]).shape == (0, 4)
    assert to_array([Box((1, 2, 3, 4), 1)]).tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("bad", [[[0, 0, 1]], [[0, 0, 1, float("nan")]], [0, 0, 1, 1]])
def test_other_shapes_are_refused(bad: list) -> None:
    with pytest.raises(DataError, match="first boxes: expected a finite"):
        compute_box_iou(bad, [[0, 0, 1, 1]])
