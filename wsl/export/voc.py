"""PASCAL VOC layout, which CVAT's "segmentation mask" import reads too."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path

from wsl.data.label_maps import palette_colours, write_label_map
from wsl.errors import DataError
from wsl.export.record import EXPORTERS, ExportRecord, check_record
from wsl.files import write_bytes
from wsl.types import Box, ClassSet


@EXPORTERS.register("voc")
def export_voc(
    records: Iterable[ExportRecord], folder: Path, classes: ClassSet, image_root: Path | None = None
) -> Path:
    """Writes label maps and boxes of `records`, one image at a time, and returns `folder`.

    SegmentationClass/<id>.png (palette, 255 kept) for records with a label map, Annotations/<id>.xml for records with
    boxes or without a label map, ImageSets/{Segmentation,Main}/all.txt, labelmap.txt (CVAT's) and classes.txt.
    VOC ids are flat: '/' in an image_id becomes '__', and two ids that then are equal are a DataError. With
    `image_root` the images `image_root/file_name` are copied to JPEGImages/<id>, which makes it a whole data set.
    """
    owners: dict[str, str] = {}
    masks: list[str] = []
    for record in records:
        check_record(record, classes)
        name = _flatten(record.image_id, owners)
        if record.label_map is not None:
            write_label_map(folder / "SegmentationClass" / f"{name}.png", record.label_map)
            masks.append(name)
        if record.boxes or record.label_map is None:
            write_bytes(folder / "Annotations" / f"{name}.xml", _to_xml(record, name, classes))
        if image_root is not None:
            suffix = Path(record.file_name).suffix
            write_bytes(folder / "JPEGImages" / (name + suffix), _read_image_bytes(image_root, record))
    _write_list(folder / "ImageSets" / "Main" / "all.txt", list(owners))
    _write_list(folder / "ImageSets" / "Segmentation" / "all.txt", masks)
    _write_class_lists(folder, classes)
    return folder


def _flatten(image_id: str, owners: dict[str, str]) -> str:
    name = image_id.replace("/", "__")
    if name in owners:
        raise DataError(f"export to VOC: '{owners[name]}' and '{image_id}' would both be called '{name}'; rename one.")
    owners[name] = image_id
    return name


def _read_image_bytes(image_root: Path, record: ExportRecord) -> bytes:
    try:
        return (image_root / record.file_name).read_bytes()
    except OSError as error:
        raise DataError(f"{image_root / record.file_name}: the image cannot be copied ({error}).") from None


def _write_list(path: Path, names: list[str]) -> None:
    write_bytes(path, "".join(f"{name}\n" for name in names).encode())


def _write_class_lists(folder: Path, classes: ClassSet) -> None:
    _write_list(folder / "classes.txt", list(classes.names))
    colours = palette_colours(len(classes) + 1)
    names = (classes.background_name, *classes.names)
    lines = [f"{name}:{red},{green},{blue}::" for name, (red, green, blue) in zip(names, colours, strict=True)]
    _write_list(folder / "labelmap.txt", ["# label:color_rgb:parts:actions", *lines])


def _to_xml(record: ExportRecord, name: str, classes: ClassSet) -> bytes:
    root = ElementTree.Element("annotation")
    _add(root, "filename", name + Path(record.file_name).suffix)
    size = ElementTree.SubElement(root, "size")
    for key, value in zip(("width", "height", "depth"), (record.size[1], record.size[0], 3), strict=True):
        _add(size, key, str(value))
    _add(root, "segmented", str(int(record.label_map is not None)))
    for box in record.boxes:
        _add_object(root, box, classes)
    ElementTree.indent(root, space="\t")
    return ElementTree.tostring(root, encoding="utf-8") + b"\n"


def _add_object(root: ElementTree.Element, box: Box, classes: ClassSet) -> None:
    item = ElementTree.SubElement(root, "object")
    _add(item, "name", classes.name_of(box.class_id))
    _add(item, "difficult", str(int(box.difficult)))
    corners = ElementTree.SubElement(item, "bndbox")
    for key, value in zip(("xmin", "ymin", "xmax", "ymax"), to_voc_corners(box), strict=True):
        _add(corners, key, str(value))


def to_voc_corners(box: Box) -> tuple[int, int, int, int]:
    """Corners as VOC counts: whole pixels from 1, the last one included; rounded, and at least one pixel wide."""
    x1, y1, x2, y2 = (math.floor(side + 0.5) for side in box.xyxy)
    return x1 + 1, y1 + 1, max(x2, x1 + 1), max(y2, y1 + 1)


def _add(parent: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(parent, tag).text = text
