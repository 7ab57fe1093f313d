"""Predicted boxes on disk: one PASCAL VOC annotation (XML) per image, as labelling tools write them.

Each `object` has a `name` and a `bndbox`, which counts pixels from 1 and includes the last one, and may have a
`confidence` or `score`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from wsl.data.voc_xml import NamedBox, parse_xml, to_annotation
from wsl.errors import DataError, suggest
from wsl.evaluate.files.box_files import BoxFile, check_place
from wsl.types import Box, ClassSet

SCORE_TAGS = ("confidence", "score")


def read_box_xml(path: Path, classes: ClassSet) -> BoxFile:
    """The boxes of one file, half-open, and its `size`; the score is 1 where there is none. Its `filename` is not
    looked at, for many tools copy it.

    DataError naming the file when it is no XML, when a name is not among `classes`, when a score is no finite number,
    or when a box is empty or lies outside of the `size` that the file says.
    """
    root = parse_xml(path)
    annotation = to_annotation(path, root)
    elements = root.findall("object")
    for entry in annotation.objects:
        check_place(entry.xyxy, annotation.size, f"{path}: '{entry.name}'")
    boxes = [
        Box(entry.xyxy, _find_class_id(entry, classes, path), _read_score(element, entry.name, path))
        for entry, element in zip(annotation.objects, elements, strict=True)
    ]
    return BoxFile(boxes, size=annotation.size)


def _find_class_id(entry: NamedBox, classes: ClassSet, path: Path) -> int:
    if entry.name not in classes.names:
        raise DataError(f"{path}: unknown class '{entry.name}'.{suggest(entry.name, classes.names)}")
    return classes.id_of(entry.name)


def _read_score(element: Any, name: str, path: Path) -> float:
    texts = [text for tag in SCORE_TAGS if (text := element.findtext(tag)) is not None]
    if not texts:
        return 1.0
    try:
        score = float(texts[0])
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise DataError(f"{path}: expected a finite number as the score of '{name}', but got {texts[0]!r:.80}.")
    return score
