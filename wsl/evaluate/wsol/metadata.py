"""wsolevaluation's metadata of one split: plain text, comma separated, without header (Choe et al., CVPR 2020).

image_ids.txt     <id>
class_labels.txt  <id>,<label>            label from 0
image_sizes.txt   <id>,<width>,<height>   may be missing or empty (OpenImages)
localization.txt  <id>,<x0>,<y0>,<x1>,<y1>            one line per box, or
                  <id>,<mask path>,<ignore path>      one line per instance, ignore path on an id's first line only
image_ids_proxy.txt  <id>                 may be missing: a part of image_ids.txt
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wsl.data.paths import find_inside
from wsl.errors import DataError
from wsl.evaluate.wsol.lines import Line, check_line, read_lines, to_whole
from wsl.types import Box

T = TypeVar("T")


@dataclass(frozen=True)
class MaskPaths:
    """Files of one image's instance masks and of its ignored region, relative to the root of the masks."""

    masks: tuple[str, ...]
    ignore: str | None


@dataclass(frozen=True)
class WsolMetadata:
    """One split. `image_ids` in the order of the file; an id usually ends in its image's suffix and may contain '/'.

    `class_ids` are ours, from 1: the label of the file plus 1. `sizes` (height, width), {} where the file gives none.
    Either `boxes` (xyxy in the image's pixels, as in the file) or `masks` holds every image, the other is {}.
    """

    root: Path
    image_ids: tuple[str, ...]
    class_ids: dict[str, int]
    sizes: dict[str, tuple[int, int]]
    boxes: dict[str, tuple[Box, ...]]
    masks: dict[str, MaskPaths]
    proxy_ids: tuple[str, ...]


def read_wsol_metadata(root: Path) -> WsolMetadata:
    """Reads the files of one split, `root` being their folder.

    Raises:
        DataError: a file is missing or empty, a line is malformed, an id is double, unknown or lacks an entry, or a
            path leads outside of its root; it names the file and the line.
    """
    image_ids = _read_ids(root / "image_ids.txt", None)
    class_ids = _read_single(root / "class_labels.txt", image_ids, 2, lambda line: to_whole(line, 1, smallest=0) + 1)
    boxes, masks = _read_localization(root / "localization.txt", class_ids)
    proxy = root / "image_ids_proxy.txt"
    return WsolMetadata(
        root=root,
        image_ids=tuple(image_ids),
        class_ids=class_ids,
        sizes=_read_sizes(root / "image_sizes.txt", image_ids),
        boxes={image_id: boxes[image_id] for image_id in image_ids if boxes},
        masks={image_id: masks[image_id] for image_id in image_ids if masks},
        proxy_ids=tuple(_read_ids(proxy, image_ids)) if proxy.is_file() else (),
    )


def _read_ids(path: Path, known: Collection[str] | None) -> dict[str, None]:
    """The ids in their order, as the keys of a dict."""
    ids: dict[str, None] = {}
    for line in read_lines(path):
        check_line(line, (1,), known)
        _check_path(line, line.image_id, path.parent)
        if line.image_id in ids:
            raise DataError(f"{line.where}: image '{line.image_id}' is listed twice.")
        ids[line.image_id] = None
    if not ids:
        raise DataError(f"{path}: expected one image id per line, but the file is empty.")
    return ids


def _read_single(path: Path, known: Collection[str], count: int, parse: Callable[[Line], T]) -> dict[str, T]:
    """What `parse` makes of the one line that each image has."""
    values: dict[str, T] = {}
    for line in read_lines(path):
        check_line(line, (count,), known)
        if line.image_id in values:
            raise DataError(f"{line.where}: image '{line.image_id}' has two lines.")
        values[line.image_id] = parse(line)
    _check_complete(path, values, known)
    return values


def _read_sizes(path: Path, known: Collection[str]) -> dict[str, tuple[int, int]]:
    """(height, width); the file has the width first."""
    if not path.is_file() or not any(read_lines(path)):
        return {}
    return _read_single(path, known, 3, lambda line: (to_whole(line, 2, smallest=1), to_whole(line, 1, smallest=1)))


def _read_localization(
    path: Path, class_ids: dict[str, int]
) -> tuple[dict[str, tuple[Box, ...]], dict[str, MaskPaths]]:
    lines = list(read_lines(path))
    count = len(lines[0].fields) if lines else 0
    for line in lines:
        check_line(line, (count,) if count in (3, 5) else (3, 5), class_ids)
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.image_id, []).append(line)
    _check_complete(path, groups, class_ids)
    if count == 5:
        every = {key: tuple(_to_box(line, class_ids[key]) for line in group) for key, group in groups.items()}
        return every, {}
    return {}, {image_id: _to_masks(group, path.parent) for image_id, group in groups.items()}


def _to_box(line: Line, class_id: int) -> Box:
    try:
        x0, y0, x1, y1 = (float(field) for field in line.fields[1:])
    except ValueError:
        raise DataError(f"{line.where}: expected x0,y0,x1,y1 as numbers, but got {line.fields[1:]}.") from None
    if not all(math.isfinite(side) for side in (x0, y0, x1, y1)) or x1 < x0 or y1 < y0:
        raise DataError(
            f"{line.where}: expected finite x0 <= x1 and y0 <= y1, but got {line.fields[1:]}; boxes are corners, not "
            "x,y,width,height."
        )
    return Box((x0, y0, x1, y1), class_id)


def _to_masks(lines: Sequence[Line], root: Path) -> MaskPaths:
    for line in lines:
        for name in filter(None, line.fields[1:]):
            _check_path(line, name, root)
        if not line.fields[1]:
            raise DataError(f"{line.where}: expected the path of a mask, but it is empty.")
    for line in lines[1:]:
        if line.fields[2]:
            raise DataError(f"{line.where}: the ignore path belongs on the first line of image '{line.image_id}'.")
    return MaskPaths(tuple(line.fields[1] for line in lines), lines[0].fields[2] or None)


def _check_path(line: Line, name: str, root: Path) -> None:
    """Ids name files, masks are files: none may lead outside, wherever the root will be."""
    try:
        find_inside(root, name)
    except DataError as error:
        raise DataError(f"{line.where}: {error}") from None


def _check_complete(path: Path, found: Collection[str], known: Collection[str]) -> None:
    absent = [image_id for image_id in known if image_id not in found]
    if absent:
        raise DataError(f"{path}: no line for {len(absent)} of {len(known)} images, the first is '{absent[0]}'.")
