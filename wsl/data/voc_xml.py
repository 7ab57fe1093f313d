"""One annotation file of the VOC layout."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import defusedxml
import defusedxml.ElementTree

from wsl.errors import DataError


@dataclass(frozen=True)
class NamedBox:
    """One object: its class name, its box in pixels, half-open xyxy, and VOC's "difficult" mark."""

    name: str
    xyxy: tuple[float, float, float, float]
    difficult: bool = False


@dataclass(frozen=True)
class Annotation:
    """One file: its objects in order, and the (height, width) of the image it was made on, None if not said."""

    objects: tuple[NamedBox, ...]
    size: tuple[int, int] | None = None


def read_annotation(path: Path) -> Annotation:
    """The objects of one annotation file.

    The file counts pixels from 1 and includes the last one: (xmin, ymin, xmax, ymax) becomes half-open
    (xmin - 1, ymin - 1, xmax, ymax). Parts of objects are left out.

    Raises:
        DataError: not XML, a document type or entity in it, or an object without a name or a proper box.
    """
    return to_annotation(path, parse_xml(path))


def parse_xml(path: Path) -> Any:
    """The root element; DataError when the file is missing, not XML, or has a document type or entities."""
    try:
        return defusedxml.ElementTree.fromstring(path.read_bytes(), forbid_dtd=True)
    except FileNotFoundError:
        raise DataError(f"{path}: no such annotation file.") from None
    except (ParseError, defusedxml.DefusedXmlException, OSError, ValueError, LookupError) as error:
        raise DataError(f"{path}: expected an annotation in XML, but {error}.") from None


def to_annotation(path: Path, root: Any) -> Annotation:
    """`read_annotation` of a file that is parsed already."""
    return Annotation(tuple(_read_object(path, element) for element in root.findall("object")), _read_size(root))


def _read_size(root: Any) -> tuple[int, int] | None:
    """Some tools write 0 or nothing when they do not know."""
    try:
        height, width = int(root.findtext("size/height") or 0), int(root.findtext("size/width") or 0)
    except ValueError:
        return None
    return (height, width) if height > 0 and width > 0 else None


def _read_object(path: Path, element: Any) -> NamedBox:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise DataError(f"{path}: an object has no name.")
    difficult = (element.findtext("difficult") or "0").strip() == "1"
    return NamedBox(name, _read_box(path, name, element.find("bndbox")), difficult)


def _read_box(path: Path, name: str, element: Any) -> tuple[float, float, float, float]:
    texts = [None if element is None else element.findtext(side) for side in ("xmin", "ymin", "xmax", "ymax")]
    try:
        x1, y1, x2, y2 = (float(text or "") for text in texts)
    except ValueError:
        raise DataError(f"{path}: the box of '{name}' needs xmin, ymin, xmax, ymax as numbers; got {texts}.") from None
    if not all(math.isfinite(side) for side in (x1, y1, x2, y2)) or x2 <= x1 - 1 or y2 <= y1 - 1:
        raise DataError(f"{path}: the box of '{name}' is empty: xmin, ymin, xmax, ymax = {texts}.")
    return (x1 - 1, y1 - 1, x2, y2)
