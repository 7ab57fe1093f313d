"""COCO JSON: annotations made from label maps or boxes, and results lists."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.boxes import compute_box_iou, to_array
from wsl.export.record import EXPORTERS, ExportRecord, check_record
from wsl.export.region_masks import INSTANCES, iterate_regions
from wsl.files import atomic_file
from wsl.types import Box, ClassSet

Json = dict[str, Any]


def export_coco(records: Iterable[ExportRecord], path: Path, classes: ClassSet, instances: str = "components") -> Path:
    """Writes COCO annotations of `records` to the JSON file `path`, an image at a time, and returns `path`.

    Image and annotation ids count from 1, category ids are the class ids 1..N. A label map gives one annotation per
    8-connected component of each class with at least the record's `min_pixels` ("components") or one per class,
    whatever its components ("classes"), with compressed RLE; 255 belongs to none. Its `score` is that of the box of the
    same class with the greatest overlap, 1.0 without one. A component has the record's `confidence` of it where one is
    known. A record without label map gives its boxes, without segmentation. `bbox` is xywh, `area` in pixels.
    """
    if instances not in INSTANCES:
        raise ConfigError(f"instances: expected one of {', '.join(INSTANCES)}, but got '{instances}'.")
    # images and annotations are two lists of one file: the images wait on disk, so memory does not grow with them
    with atomic_file(path) as stream, tempfile.TemporaryFile() as images:
        stream.write(b'{"annotations": [')
        count = 0
        for number, record in enumerate(records, start=1):
            check_record(record, classes)
            _append(images, _image_entry(record, number), number == 1)
            for annotation in iterate_annotations(record, instances):
                count += 1
                _append(stream, {**annotation, "id": count, "image_id": number, "iscrowd": 0}, count == 1)
        categories = [{"id": class_id, "name": classes.name_of(class_id)} for class_id in classes.ids]
        stream.write(b'],\n"categories": ' + _to_json(categories) + b',\n"images": [')
        _copy(images, stream)
        stream.write(b"]}\n")
    return path


@EXPORTERS.register("coco")
def export_coco_folder(records: Iterable[ExportRecord], folder: Path, classes: ClassSet) -> Path:
    """`export_coco` to annotations/instances.json in `folder`."""
    return export_coco(records, folder / "annotations" / "instances.json", classes)


def write_coco_results(
    path: Path,
    records: Iterable[tuple[int | str, Sequence[Box]]],
    category_ids: Mapping[int, int] | None = None,
) -> None:
    """Writes a COCO results list of (COCO image id, boxes); `category_ids` maps class_id to category_id, else equal."""
    with atomic_file(path) as stream:
        stream.write(b"[")
        first = True
        for image_id, boxes in records:
            for box in boxes:
                category = box.class_id if category_ids is None else _translate(box.class_id, category_ids)
                entry = {"image_id": image_id, "category_id": category, "bbox": _to_xywh(box), "score": _score(box)}
                _append(stream, entry, first)
                first = False
        stream.write(b"]\n")


def iterate_annotations(record: ExportRecord, instances: str = "components") -> Iterator[Json]:
    """Annotations of one record without ids, in the order of class id, then of first pixel from the top."""
    if record.label_map is None:
        for box in record.boxes:
            x, y, width, height = _to_xywh(box)
            entry: Json = {"category_id": box.class_id, "bbox": [x, y, width, height], "area": width * height}
            yield {**entry, "score": _score(box)}
        return
    confidences = record.confidences if instances == "components" else ()
    count = 0
    for count, region in enumerate(iterate_regions(record.label_map, instances, record.min_pixels), start=1):
        annotation: Json = {
            "category_id": region.class_id,
            "segmentation": region.encode(),
            "bbox": _to_xywh(region.box),
            "area": int(region.window.sum()),
            "score": _find_score(region.box, region.class_id, record.boxes),
        }
        if count <= len(confidences):
            annotation["confidence"] = float(confidences[count - 1])
        yield annotation
    if confidences and len(confidences) != count:
        raise DataError(f"{record.image_id}: expected {count} confidences, one per region, but got {len(confidences)}.")


def _find_score(area: Box, class_id: int, boxes: Sequence[Box]) -> float:
    same = [box for box in boxes if box.class_id == class_id]
    if not same:
        return 1.0
    return _score(same[int(np.argmax(compute_box_iou([area.xyxy], to_array(same))[0]))])


def _score(box: Box) -> float:
    if not math.isfinite(box.score):
        raise DataError(f"export: expected a finite box score, but got {box.score}.")
    return float(box.score)


def _to_xywh(box: Box) -> list[float]:
    x1, y1, x2, y2 = (float(side) for side in box.xyxy)
    return [x1, y1, x2 - x1, y2 - y1]


def _translate(class_id: int, category_ids: Mapping[int, int]) -> int:
    if class_id not in category_ids:
        raise DataError(f"category_ids: no category for class_id {class_id}; known are {sorted(category_ids)[:20]}.")
    return category_ids[class_id]


def _image_entry(record: ExportRecord, number: int) -> Json:
    return {"id": number, "file_name": record.file_name, "height": record.size[0], "width": record.size[1]}


def _append(stream: IO[bytes], entry: Json, first: bool) -> None:
    stream.write((b"\n" if first else b",\n") + _to_json(entry))


def _to_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, allow_nan=False).encode()


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    source.seek(0)
    while part := source.read(1 << 20):
        target.write(part)
