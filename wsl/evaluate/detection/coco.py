"""COCO's average precision and recall of boxes and masks, computed by pycocotools on checked input."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wsl.data.rle import encode_mask, segmentation_to_mask
from wsl.errors import DataError
from wsl.evaluate.result import Score, compute_mean
from wsl.evaluate.segmentation.confusion import check_policy
from wsl.files import read_json
from wsl.types import Box, ClassSet, Instance

Json = dict[str, Any]
KINDS = ("bbox", "segm")
_SHORT = {"bbox": "box", "segm": "mask"}
# The order of pycocotools' `stats`.
_NAMES = (
    *("AP", "AP50", "AP75", "AP small", "AP medium", "AP large"),
    *("AR@1", "AR@10", "AR@100", "AR small", "AR medium", "AR large"),
)


def compute_coco_scores(ground_truth: Json, results: Sequence[Json], kind: str = "bbox") -> list[Score]:
    """COCO's twelve numbers (AP, AP50, AP75, by size; AR@1/10/100, by size), with AP per class at the first.

    Args:
        ground_truth: COCO annotations (images, categories, annotations; boxes xywh). Ids of annotations do not
            matter: they are numbered from 1 anew, because pycocotools takes an object with id 0 for unmatched.
        results: dicts with image_id, category_id, score and `bbox` xywh or `segmentation` (RLE or polygons).
        kind: "bbox" or "segm", what is compared.

    Returns:
        Values in [0, 1]; None where there is no object of that size; 0 where there are objects but no results.

    Raises:
        DataError: keys, ids or numbers that do not fit, masks of another size than their image.
    """
    check_policy(kind, KINDS, "kind")
    truth = _prepare_truth(ground_truth, kind)
    found = _prepare_results(results, truth, kind)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_to_coco(truth), _to_coco({**truth, "annotations": found}), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    per_class = _class_precisions(evaluation, truth)
    return [
        Score(
            name=f"{_SHORT[kind]} {name}",
            value=_defined(value),
            protocol="COCO detection (pycocotools)",
            conventions=_conventions(),
            per_class=per_class if name == "AP" else {},
            counts={"images": len(truth["images"]), "objects": len(truth["annotations"]), "results": len(found)},
        )
        for name, value in zip(_NAMES, evaluation.stats, strict=True)
    ]


def build_coco_ground_truth(
    images: Iterable[tuple[str, tuple[int, int], Sequence[Instance]]], classes: ClassSet
) -> tuple[Json, dict[str, int]]:
    """COCO annotations of (image_id, size (H, W), instances) and the number that each image_id got (from 1).

    Category ids are class ids. Difficult objects count like any other: pycocotools could only treat them as crowds.
    """
    numbers: dict[str, int] = {}
    entries: list[Json] = []
    annotations: list[Json] = []
    for image_id, (height, width), instances in images:
        numbers[image_id] = len(numbers) + 1
        entries.append({"id": numbers[image_id], "file_name": image_id, "height": height, "width": width})
        annotations += [_to_annotation(instance, numbers[image_id], (height, width)) for instance in instances]
    categories = [{"id": class_id, "name": classes.name_of(class_id)} for class_id in classes.ids]
    return {"images": entries, "annotations": annotations, "categories": categories}, numbers


def build_coco_results(boxes: Mapping[str, Sequence[Box]], numbers: Mapping[str, int]) -> list[Json]:
    """COCO results of predicted boxes per image_id; `numbers` as from `build_coco_ground_truth`."""
    return [
        {"image_id": numbers[image_id], "category_id": box.class_id, "bbox": to_xywh(box), "score": float(box.score)}
        for image_id, found in boxes.items()
        for box in found
    ]


def to_xywh(box: Box) -> list[float]:
    """COCO's x, y, width, height of a box."""
    x1, y1, x2, y2 = box.xyxy
    return [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]


def evaluate_coco_json(prediction: Path, ground_truth: Path) -> list[Score]:
    """Scores of a COCO results list, or of COCO annotations with scores, against COCO annotations.

    Boxes are compared when every result has a `bbox`, masks when every result and every object has a
    `segmentation`. Annotations as predictions are matched to the images by file name and to the classes by name.
    """
    truth = read_coco_json(ground_truth)
    results = _read_results(prediction, truth)
    kinds = [kind for kind in KINDS if _all_have(results, kind)]
    if not _all_have(truth["annotations"], "segm"):
        kinds = [kind for kind in kinds if kind != "segm"]
    if not kinds:
        raise DataError(f"{prediction}: expected 'bbox' or 'segmentation' in every result, but some have neither.")
    try:
        return [score for kind in kinds for score in compute_coco_scores(truth, results, kind)]
    except DataError as error:
        raise DataError(f"{prediction}: {error}") from None


def read_coco_json(path: Path) -> Json:
    """COCO annotations; DataError unless images, annotations and categories are lists."""
    content = read_json(path)
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in keys):
        raise DataError(f"{path}: expected COCO annotations, a JSON object with the lists {', '.join(keys)}.")
    return content


def _read_results(path: Path, truth: Json) -> list[Json]:
    content = read_json(path)
    if isinstance(content, list):
        return content
    content = read_coco_json(path)
    images = _translate(content["images"], truth["images"], "file_name", path)
    categories = _translate(content["categories"], truth["categories"], "name", path)
    return [
        {
            **entry,
            "image_id": images.get(entry.get("image_id")),
            "category_id": categories.get(entry.get("category_id")),
            "score": entry.get("score", 1.0),
        }
        for entry in content["annotations"]
    ]


def _translate(mine: list[Json], theirs: list[Json], key: str, path: Path) -> dict[Any, Any]:
    """My id -> their id of the entries with equal `key`."""
    known = {entry.get(key): entry.get("id") for entry in theirs}
    missing = [entry.get(key) for entry in mine if entry.get(key) not in known]
    if missing:
        raise DataError(f"{path}: {len(missing)} {key} not in the ground truth, the first is {missing[0]!r}.")
    return {entry.get("id"): known[entry[key]] for entry in mine}


def _all_have(entries: Sequence[Json], kind: str) -> bool:
    key = "bbox" if kind == "bbox" else "segmentation"
    return all(isinstance(entry, dict) and entry.get(key) for entry in entries)


def _to_annotation(instance: Instance, image: int, size: tuple[int, int]) -> Json:
    annotation: Json = {
        "image_id": image,
        "category_id": instance.class_id,
        "bbox": to_xywh(instance.box),
        "iscrowd": int(instance.crowd),
    }
    if instance.segmentation is not None:
        annotation["segmentation"] = encode_mask(segmentation_to_mask(instance.segmentation, size))
    return annotation


def _prepare_truth(ground_truth: Json, kind: str) -> Json:
    images = _index(ground_truth["images"], "image", ("id",))
    categories = set(_index(ground_truth["categories"], "category", ("id", "name")))
    annotations = []
    for number, entry in enumerate(ground_truth["annotations"], start=1):
        prepared = _prepare(entry, number, images, categories, kind, "ground truth")
        for key, default in (("iscrowd", 0), ("area", prepared["area"])):
            prepared[key] = entry.get(key, default)
            if not _is_number(prepared[key]):
                raise DataError(f"ground truth {number}: expected a number as '{key}', but got {prepared[key]!r:.80}.")
        annotations.append(prepared)
    return {**ground_truth, "annotations": annotations}


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


def _prepare_results(results: Sequence[Json], truth: Json, kind: str) -> list[Json]:
    images = {entry["id"]: entry for entry in truth["images"]}
    categories = {entry["id"] for entry in truth["categories"]}
    prepared = []
    for number, entry in enumerate(results, start=1):
        row = _prepare(entry, number, images, categories, kind, "result")
        row["score"] = entry.get("score")
        if not _is_number(row["score"]):
            raise DataError(f"result {number}: expected a finite number as 'score', but got {row['score']!r}.")
        row["iscrowd"] = 0
        prepared.append(row)
    return prepared


def _prepare(entry: Json, number: int, images: Mapping[Any, Json], categories: set[Any], kind: str, what: str) -> Json:
    """A copy of one annotation or result with id, area and what `kind` compares; DataError where that is wrong."""
    if not isinstance(entry, dict):
        raise DataError(f"{what} {number}: expected a JSON object, but got {type(entry).__name__}.")
    image_id, category_id = entry.get("image_id"), entry.get("category_id")
    if not _is_known(image_id, images):
        raise DataError(f"{what} {number}: image_id {image_id!r} is not among the {len(images)} images.")
    if not _is_known(category_id, categories):
        raise DataError(f"{what} {number}: category_id {category_id!r} is none of {sorted(categories)[:20]}.")
    row: Json = {"id": number, "image_id": image_id, "category_id": category_id}
    return row | _PREPARERS[kind](entry, images[image_id], f"{what} {number}")


def _is_known(identifier: Any, known: Mapping[Any, Any] | set[Any]) -> bool:
    return isinstance(identifier, (int, str)) and identifier in known


def _prepare_box(entry: Json, image: Json, what: str) -> Json:
    box = entry.get("bbox")
    if not isinstance(box, (list, tuple)) or len(box) != 4 or not all(_is_number(side) for side in box):
        raise DataError(f"{what}: expected 'bbox' as four finite numbers x, y, width, height, but got {box!r:.80}.")
    return {"bbox": [float(side) for side in box], "area": float(box[2] * box[3])}


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


_PREPARERS: dict[str, Callable[[Json, Json, str], Json]] = {"bbox": _prepare_box, "segm": _prepare_mask}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _to_coco(content: Json) -> Any:
    """A COCO object made in memory. Not by loadRes: that fails on an empty list."""
    coco = COCO()
    coco.dataset = content
    coco.createIndex()
    return coco


def _class_precisions(evaluation: Any, truth: Json) -> dict[str, dict[str, float | None]]:
    names = {entry["id"]: entry["name"] for entry in truth["categories"]}
    precision: NDArray[np.float64] = evaluation.eval["precision"]  # (IoU, recall, class, area range, most results)
    result: dict[str, dict[str, float | None]] = {}
    for index, category in enumerate(evaluation.params.catIds):
        every, half = precision[:, :, index, 0, -1], precision[0, :, index, 0, -1]
        result[names[category]] = {"ap": _mean_defined(every), "ap50": _mean_defined(half)}
    return result


def _mean_defined(values: NDArray[np.float64]) -> float | None:
    return compute_mean([float(value) for value in values[values > -1].ravel()])


def _defined(value: float) -> float | None:
    """pycocotools says -1 where nothing is to be found."""
    return None if value < 0 else float(value)


def _conventions() -> dict[str, str]:
    return {
        "AP": "mean over IoU 0.50:0.05:0.95 and classes with objects, 101 recall points",
        "box IoU": "half-open",
        "crowd": "matched or not, never counted",
        "results per image": "100 highest",
    }
