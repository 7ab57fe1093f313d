"""Predicted boxes against the image that they are said to be of: its id and its size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wsl.data.declared_size import scale_box
from wsl.errors import DataError
from wsl.evaluate.files.box_files import BoxFile, check_place
from wsl.types import Box


def check_image_id(said: str | int | None, image_id: str, names: Mapping[Any, str], path: Path) -> None:
    """DataError when a file says that it is of another image than its name does; `names` as of `find_image_names`."""
    if said is not None and names.get(said) != image_id:
        raise DataError(
            f"{path}: expected image_id '{image_id}' as the file is called, but got {said!r:.80}; rename the file, or "
            "mend its image_id."
        )


def fit_boxes(found: BoxFile, size: tuple[int, int], path: Path) -> list[Box]:
    """The boxes in the pixels of an image of `size` (height, width).

    Those of an XML file for another size are scaled, as the reader of VOC data sets scales the true ones. DataError
    for JSON of another size, for XML of other proportions, and for a box outside of the image.
    """
    if found.size is not None and found.size != size:
        return _scale(found, found.size, size, path)
    for number, box in enumerate(found.boxes):
        check_place(box.xyxy, size, f"{path}: box {number}")
    return found.boxes


def _scale(found: BoxFile, declared: tuple[int, int], size: tuple[int, int], path: Path) -> list[Box]:
    if path.suffix.lower() != ".xml":
        raise DataError(
            f"{path}: its boxes are for an image of {declared[0]}x{declared[1]}, but the image is {size[0]}x{size[1]} "
            "(height x width): sizes must be equal, nothing is resized."
        )
    try:
        return [replace(box, xyxy=scale_box(box.xyxy, declared, size)) for box in found.boxes]
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
