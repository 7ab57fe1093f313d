"""What an audit takes for objects where there are boxes alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wsl.evaluate.faithfulness.pointing import draw_boxes
from wsl.pipeline.audit_objects import BOXES, ObjectFinder
from wsl.types import Box, Instance, Sample

SIZE = (6, 8)


def find(boxes: list[Box], class_id: int) -> Any:
    instances = tuple(Instance(box.class_id, box) for box in boxes)
    finder = ObjectFinder(None, None, BOXES)  # type: ignore[arg-type]  # for boxes it needs neither run nor files
    return finder.find(Sample("x", Path("x.png"), (1, 2), instances=instances), SIZE, class_id)


def test_boxes_are_drawn_as_the_pointing_game_draws_them() -> None:
    boxes = [Box((0.6, 1.4, 2.4, 3.6), 1), Box((-3, -3, -1, -1), 1), Box((2.2, 3.2, 6.5, 9), 2)]
    found = find(boxes, 1)
    assert np.array_equal(found.target, draw_boxes(boxes[:2], SIZE))
    assert found.target[1:4, :3].all()
    assert found.target.sum() == 9
    assert np.array_equal(found.others, draw_boxes(boxes[2:], SIZE) & ~found.target)
    assert found.others[3, 3]
    assert not found.others[3, 2]  # it lies in both, and the class in question comes first
    assert not found.ignore.any()


def test_an_image_without_boxes_is_not_known() -> None:
    finder = ObjectFinder(None, None, BOXES)  # type: ignore[arg-type]
    assert finder.find(Sample("x", Path("x.png"), (1,)), SIZE, 1) is None
