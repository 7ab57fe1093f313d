"""Predicted boxes on disk: one JSON file per image.

{"image_id": str, "size": [height, width], "boxes": [{"xyxy": [x1, y1, x2, y2], "class_id": int, "class": str,
"score": float}]}; boxes half-open, in pixels; `class` may be missing.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from wsl.errors import DataError
from wsl.files import read_json
from wsl.types import Box, ClassSet


def read_box_file(path: Path, classes: ClassSet | None = None) -> list[Box]:
    """The boxes of one file, in its order.

    DataError naming the file when its form is wrong, or when a class_id is not the class of that name in `classes`.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("boxes"), list):
        raise DataError(f"{path}: expected a JSON object with the list 'boxes'.")
    return [_read_box(entry, f"{path}: box {number}", classes) for number, entry in enumerate(content["boxes"])]


def _read_box(entry: Any, where: str, classes: ClassSet | None) -> Box:
    if not isinstance(entry, dict):
        raise DataError(f"{where}: expected a JSON object, but got {type(entry).__name__}.")
    corners, class_id, score = entry.get("xyxy"), entry.get("class_id"), entry.get("score", 1.0)
    if not isinstance(corners, list) or len(corners) != 4 or not all(_is_number(side) for side in corners):
        raise DataError(f"{where}: expected 'xyxy' as four finite numbers, but got {corners!r:.80}.")
    if not _is_number(score):
        raise DataError(f"{where}: expected a finite number as 'score', but got {score!r:.80}.")
    if not isinstance(class_id, int) or isinstance(class_id, bool) or class_id < 1:
        raise DataError(f"{where}: expected 'class_id' as a whole number from 1, but got {class_id!r:.80}.")
    _check_class(class_id, entry.get("class"), where, classes)
    x1, y1, x2, y2 = (float(side) for side in corners)
    return Box((x1, y1, x2, y2), class_id, float(score))


def _check_class(class_id: int, name: Any, where: str, classes: ClassSet | None) -> None:
    if classes is None:
        return
    if class_id > len(classes):
        raise DataError(f"{where}: expected class_id in 1..{len(classes)}, but got {class_id}.")
    if name is not None and name != classes.name_of(class_id):
        raise DataError(
            f"{where}: class_id {class_id} is called {name!r:.80} here but '{classes.name_of(class_id)}' in the "
            "ground truth: were the boxes made with another class list?"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
