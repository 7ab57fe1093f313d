"""COCO annotations and results, checked and brought into the form that every evaluator understands.

Images and categories get the numbers 1.. in the order of their ids, annotations in the order of the file: pycocotools
takes an object whose annotation id is 0 for unmatched and loses one of two objects with the same id, and
faster-coco-eval knows no ids but whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pycocotools import mask as coco_mask

from wsl.data.rle import encode_mask, segmentation_to_mask
from wsl.errors import DataError
from wsl.evaluate.json_numbers import is_number

Json = dict[str, Any]


@dataclass(frozen=True)
class CocoRecords:
    """Objects and results to compare: `truth` and `found` are COCO annotations with the same images and categories.

    `names`: the category of each number, in their order. `counts`: what is said beside the scores.
    """

    truth: Json
    found: Json
    names: tuple[str, ...]
    counts: dict[str, int]


@dataclass(frozen=True)
class _Index:
    """The images and categories of the ground truth by their own id, and the number that each has here."""

    images: Mapping[Any, Json]
    image_numbers: Mapping[Any, int]
    category_numbers: Mapping[Any, int]


def prepare_records(ground_truth: Json, results: Sequence[Json], with_masks: bool) -> CocoRecords:
    """Checks both; what is compared is `segmentation` if `with_masks`, otherwise `bbox`.

    DataError that says which annotation or result it is about ("ground truth 3", "result 7", from 1).
    """
    images = _index(ground_truth["images"], "image", ("id",))
    categories = _index(ground_truth["categories"], "category", ("id", "name"))
    index = _Index(images, _number(images), _number(categories))
    prepare = _prepare_mask if with_masks else _prepare_box
    objects = [
        _prepare_object(entry, number, index, prepare)
        for number, entry in enumerate(ground_truth["annotations"], start=1)
    ]
    found = [_prepare_result(entry, number, index, prepare) for number, entry in enumerate(results, start=1)]
    base: Json = {
        "images": [_to_image(images[image_id], number) for image_id, number in index.image_numbers.items()],
        "categories": [
            {"id": number, "name": categories[own_id]["name"]} for own_id, number in index.category_numbers.items()
        ],
    }
    counts = {
        "images": len(images),
        "objects": len(objects),
        "crowds": sum(bool(entry["iscrowd"]) for entry in objects),
        "results": len(found),
        "annotation ids renumbered": _count_bad_ids(ground_truth["annotations"]),
    }
    names = tuple(entry["name"] for entry in base["categories"])
    return CocoRecords({**base, "annotations": objects}, {**base, "annotations": found}, names, counts)


def _index(entries: Sequence[Json], what: str, keys: tuple[str, ...]) -> dict[Any, Json]:
    """id -> entry; DataError when an entry lacks one of `keys` or two have the same id."""
    index: dict[Any, Json] = {}
    for entry in entries:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), (int, str)) for key in keys):
            raise DataError(f"ground truth: expected every {what} to have {' and '.join(keys)}, but got {entry!r:.80}.")
        index[entry["id"]] = entry
    if len(index) != len(entries):
        raise DataError(f"ground truth: {len(entries) - len(index)} {what} ids appear more than once.")
    return index


def _number(index: Mapping[Any, Json]) -> dict[Any, int]:
    """Numbers from 1 in the order of the ids, as pycocotools sorts them: it decides between equal scores."""
    ordered = sorted(index, key=lambda own_id: (isinstance(own_id, str), own_id))
    return {own_id: number for number, own_id in enumerate(ordered, start=1)}


def _to_image(entry: Json, number: int) -> Json:
    return {"id": number, "height": entry.get("height"), "width": entry.get("width")}


def _count_bad_ids(annotations: Sequence[Json]) -> int:
    """Annotations whose id is missing, 0 or that of an earlier one."""
    good = {
        entry["id"] for entry in annotations if isinstance(entry.get("id"), (int, str)) and entry["id"] not in (0, "")
    }
    return len(annotations) - len(good)


def _prepare_object(entry: Json, number: int, index: _Index, prepare: Callable[[Json, Json, str], Json]) -> Json:
    row = _prepare(entry, number, index, prepare, "ground truth")
    for key, default in (("iscrowd", 0), ("area", row["area"])):
        row[key] = entry.get(key, default)
        if not is_number(row[key]):
            raise DataError(f"ground truth {number}: expected a number as '{key}', but got {row[key]!r:.80}.")
    row["iscrowd"] = int(row["iscrowd"])
    return row


def _prepare_result(entry: Json, number: int, index: _Index, prepare: Callable[[Json, Json, str], Json]) -> Json:
    row = _prepare(entry, number, index, prepare, "result")
    if not is_number(entry.get("score")):
        raise DataError(f"result {number}: expected a finite number as 'score', but got {entry.get('score')!r:.80}.")
    return row | {"score": float(entry["score"]), "iscrowd": 0}


def _prepare(entry: Json, number: int, index: _Index, prepare: Callable[[Json, Json, str], Json], what: str) -> Json:
    """A copy of one annotation or result with new ids, area and what is compared; DataError where that is wrong."""
    if not isinstance(entry, dict):
        raise DataError(f"{what} {number}: expected a JSON object, but got {type(entry).__name__}.")
    image_id, category_id = entry.get("image_id"), entry.get("category_id")
    if not isinstance(image_id, (int, str)) or image_id not in index.images:
        raise DataError(f"{what} {number}: image_id {image_id!r:.80} is not among the {len(index.images)} images.")
    if not isinstance(category_id, (int, str)) or category_id not in index.category_numbers:
        raise DataError(
            f"{what} {number}: category_id {category_id!r:.80} is none of {list(index.category_numbers)[:20]}."
        )
    row: Json = {
        "id": number,
        "image_id": index.image_numbers[image_id],
        "category_id": index.category_numbers[category_id],
    }
    return row | prepare(entry, index.images[image_id], f"{what} {number}")


def _prepare_box(entry: Json, image: Json, what: str) -> Json:
    box = entry.get("bbox")
    if not isinstance(box, (list, tuple)) or len(box) != 4 or not all(is_number(side) for side in box):
        raise DataError(f"{what}: expected 'bbox' as four finite numbers x, y, width, height, but got {box!r:.80}.")
    if box[2] < 0 or box[3] < 0:
        raise DataError(f"{what}: expected 'bbox' as x, y, width, height with no negative side, but got {box!r:.80}.")
    return {"bbox": [float(side) for side in box], "area": float(box[2]) * float(box[3])}


def _prepare_mask(entry: Json, image: Json, what: str) -> Json:
    size = image.get("height"), image.get("width")
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise DataError(f"{what}: masks need 'height' and 'width' of image {image['id']!r}, but got {size}.")
    try:
        mask = segmentation_to_mask(entry.get("segmentation"), (image["height"], image["width"]))
    except DataError as error:
        raise DataError(f"{what}: {error}") from None
    rle = encode_mask(mask)
    return {"segmentation": rle, "area": float(mask.sum()), "bbox": coco_mask.toBbox(rle).tolist()}
