"""Predicted boxes on disk: one JSON file per image.

{"image_id": str, "size": [height, width], "boxes": [{"xyxy": [x1, y1, x2, y2], "class_id": int, "class": str,
"score": float}]}; boxes half-open, in pixels; `class` may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsl.errors import DataError
from wsl.evaluate.json_numbers import is_count, is_number
from wsl.files import read_json
from wsl.types import Box, ClassSet


@dataclass(frozen=True)
class BoxFile:
    """What a file says: its boxes in its order, and the image that they are of, its id and (height, width); None where
    it does not say so."""

    boxes: list[Box]
    image_id: str | int | None = None
    size: tuple[int, int] | None = None


def read_box_file(path: Path, classes: ClassSet | None = None) -> BoxFile:
    """The content of one file.

    DataError naming the file when its form is wrong, when a box has a negative side or lies outside of `size`, or when
    a class_id is not the class of that name in `classes`.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("boxes"), list):
        raise DataError(f"{path}: expected a JSON object with the list 'boxes'.")
    size = read_size(content["size"], str(path)) if content.get("size") is not None else None
    entries = enumerate(content["boxes"])
    boxes = [_read_box(entry, f"{path}: box {number}", size, classes) for number, entry in entries]
    return BoxFile(boxes, read_image_id(content, str(path)), size)


def _read_box(entry: Any, where: str, size: tuple[int, int] | None, classes: ClassSet | None) -> Box:
    if not isinstance(entry, dict):
        raise DataError(f"{where}: expected a JSON object, but got {type(entry).__name__}.")
    corners = entry.get("xyxy")
    if not isinstance(corners, list) or len(corners) != 4 or not all(is_number(side) for side in corners):
        raise DataError(f"{where}: expected 'xyxy' as four finite numbers, but got {corners!r:.80}.")
    x1, y1, x2, y2 = (float(side) for side in corners)
    check_place((x1, y1, x2, y2), size, where)
    return Box((x1, y1, x2, y2), read_class_id(entry, where, classes), read_score(entry, where))


def read_image_id(content: dict[str, Any], where: str) -> str | int | None:
    """`image_id`, None where there is none; DataError unless it is a string or a whole number."""
    image_id = content.get("image_id")
    if image_id is None or (isinstance(image_id, (str, int)) and not isinstance(image_id, bool)):
        return image_id
    raise DataError(f"{where}: expected 'image_id' as a string or a whole number, but got {image_id!r:.80}.")


def read_size(value: Any, where: str) -> tuple[int, int]:
    """[height, width] as two whole numbers from 1, else DataError."""
    if isinstance(value, list) and len(value) == 2 and all(is_count(side) for side in value):
        return value[0], value[1]
    raise DataError(f"{where}: expected 'size' as [height, width] in pixels, but got {value!r:.80}.")


def check_place(xyxy: tuple[float, float, float, float], size: tuple[int, int] | None, where: str) -> None:
    """DataError for a box with a negative side, or with no point in the image where its (height, width) is known."""
    x1, y1, x2, y2 = xyxy
    if x2 < x1 or y2 < y1:
        raise DataError(f"{where}: expected x1 <= x2 and y1 <= y2, but got {xyxy}; is it x, y, width, height?")
    if size is not None and (x1 >= size[1] or y1 >= size[0] or x2 <= 0 or y2 <= 0):
        raise DataError(f"{where}: {xyxy} lies outside of the image of {size[0]}x{size[1]} (height x width).")


def read_score(entry: dict[str, Any], where: str) -> float:
    """`score`, 1 where there is none; DataError unless it is a finite number."""
    score = entry.get("score", 1.0)
    if not is_number(score):
        raise DataError(f"{where}: expected a finite number as 'score', but got {score!r:.80}.")
    return float(score)


def read_class_id(entry: dict[str, Any], where: str, classes: ClassSet | None) -> int:
    """`class_id`, a whole number from 1 that is the class called `class`, if that is given, in `classes`."""
    class_id = entry.get("class_id")
    if not is_count(class_id):
        raise DataError(f"{where}: expected 'class_id' as a whole number from 1, but got {class_id!r:.80}.")
    _check_class(class_id, entry.get("class"), where, classes)
    return class_id


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
