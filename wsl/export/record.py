"""What every exporter takes, and the registry of exporters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wsl.checks import check_label_map
from wsl.errors import DataError
from wsl.registry import Registry
from wsl.types import IGNORE, Box, ClassSet, LabelMap


class ExportRecord(NamedTuple):
    """Pseudo-labels of one image: `size` (H, W); `label_map` uint8 (H, W) or None; `boxes` half-open, in pixels.

    `file_name` is the image's path relative to the image folder, as other tools will look for it. `min_pixels`:
    connected regions of the label map with fewer pixels are no objects; as a mask they stay. `confidences`, one in
    [0, 1] per other region in the order of `find_regions`, class by class; () = not known.
    """

    image_id: str
    file_name: str
    size: tuple[int, int]
    label_map: LabelMap | None = None
    boxes: tuple[Box, ...] = ()
    confidences: tuple[float, ...] = ()
    min_pixels: int = 1


# (records, folder, classes) -> the file or folder that another tool opens
Exporter = Callable[[Iterable[ExportRecord], Path, ClassSet], Path]
EXPORTERS: Registry[Exporter] = Registry("export format")


def check_record(record: ExportRecord, classes: ClassSet) -> None:
    """Raises DataError for an unsafe name, a label map of another size, or class ids outside 1..N."""
    for name in (record.image_id, record.file_name):
        if not name or name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
            raise DataError(f"export: expected a relative name without '..', but got {name!r}.")
    for box in record.boxes:
        if box.class_id not in classes.ids:
            raise DataError(f"{record.image_id}: expected class ids 1..{len(classes)}, but a box has {box.class_id}.")
    if record.label_map is None:
        return
    check_label_map(record.label_map, record.image_id)
    if record.label_map.shape != tuple(record.size):
        raise DataError(f"{record.image_id}: label map {record.label_map.shape} of an image of {tuple(record.size)}.")
    values = np.flatnonzero(np.bincount(record.label_map.ravel(), minlength=IGNORE + 1))
    outside = [int(value) for value in values if len(classes) < value < IGNORE]
    if outside:
        raise DataError(f"{record.image_id}: expected values 0..{len(classes)} and 255, but found {outside[0]}.")
