"""COCO's average precision and recall of boxes, masks and boundaries, on checked input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.data.rle import encode_mask, segmentation_to_mask
from wsl.errors import ConfigError, DataError
from wsl.evaluate.detection.coco_backends import BOUNDARY_RATIO, CocoTables, choose_backend, run_backend
from wsl.evaluate.detection.coco_records import CocoRecords, Json, prepare_records
from wsl.evaluate.result import Score, compute_mean
from wsl.files import read_json
from wsl.types import Box, ClassSet, Instance

MAX_RESULTS = (1, 10, 100)
_SHORT = {"bbox": "box", "segm": "mask", "boundary": "boundary"}
_PROTOCOLS = {
    "bbox": "COCO detection",
    "segm": "COCO detection",
    "boundary": "Boundary AP (Cheng et al., CVPR 2021)",
}
_PROGRAMS = {"pycocotools": "pycocotools", "faster_coco_eval": "faster-coco-eval, the numbers of pycocotools"}
_IOU = {
    "bbox": {"box IoU": "half-open"},
    "segm": {"mask IoU": "pixels"},
    "boundary": {"mask IoU": f"lesser of mask and boundary, {BOUNDARY_RATIO:g} of the diagonal wide"},
}
_SIZES = {"small": 1, "medium": 2, "large": 3}
_IOU_50, _IOU_75 = 0, 5


def compute_coco_scores(
    ground_truth: Json,
    results: Sequence[Json],
    kind: str = "bbox",
    backend: str = "auto",
    max_results: Sequence[int] = MAX_RESULTS,
) -> list[Score]:
    """COCO's twelve numbers (AP, AP50, AP75, by size; AR@1/10/100, by size), with AP per class at the first.

    Args:
        ground_truth: COCO annotations (images, categories, annotations; boxes xywh). Ids of annotations do not matter:
            they are numbered anew, and how many were 0, missing or there twice is among the counts.
        results: dicts with image_id, category_id, score and `bbox` xywh or `segmentation` (RLE or polygons).
        kind: what is compared: "bbox", "segm", or "boundary" (Cheng et al., CVPR 2021: the lesser of mask IoU and the
            IoU of the masks' pixels within 2 % of the image's diagonal of their contour; crowds by mask).
        backend: "pycocotools", "faster_coco_eval" (extra `fast`; the same numbers sooner) or "auto", the latter where
            it is installed. "boundary" needs it.
        max_results: most results of an image and class that count, one AR for each; AP and the scores by size are
            at the largest.

    Returns:
        Values in [0, 1]; None where there is no object of that size; 0 where there are objects but no results.

    Raises:
        DataError: keys, ids or numbers that do not fit, masks of another size than their image.
        ConfigError: an unknown kind or backend, `max_results` that are not whole numbers from 1.
    """
    chosen = choose_backend(backend, kind)
    limits = _check_limits(max_results)
    records = prepare_records(ground_truth, results, with_masks=kind != "bbox")
    tables = run_backend(records, kind, limits, chosen)
    per_class = _class_precisions(tables, records)
    return [
        Score(
            name=f"{_SHORT[kind]} {name}",
            value=value,
            protocol=_describe_protocol(kind, chosen),
            conventions=_conventions(kind, limits),
            per_class=per_class if name == "AP" else {},
            counts=records.counts,
        )
        for name, value in _summarise(tables, limits).items()
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


def evaluate_coco_json(
    prediction: Path,
    ground_truth: Path,
    boundary: bool = False,
    backend: str = "auto",
    max_results: Sequence[int] = MAX_RESULTS,
) -> list[Score]:
    """Scores of a COCO results list, or of COCO annotations with scores, against COCO annotations.

    Boxes are compared when every result has a `bbox`, masks when every result and every object has a `segmentation`,
    their boundaries too with `boundary`. Annotations as predictions are matched to the images by file name and to the
    classes by name. `backend` and `max_results` as in `compute_coco_scores`.
    """
    truth = read_coco_json(ground_truth)
    results = _read_results(prediction, truth)
    kinds = [kind for kind in ("bbox", "segm") if _all_have(results, kind)]
    if not _all_have(truth["annotations"], "segm"):
        kinds = [kind for kind in kinds if kind != "segm"]
    if not kinds:
        raise DataError(f"{prediction}: expected 'bbox' or 'segmentation' in every result, but some have neither.")
    if boundary:
        if "segm" not in kinds:
            raise DataError(f"{prediction}: boundary AP needs a 'segmentation' in every result and every object.")
        kinds.append("boundary")
    try:
        return [score for kind in kinds for score in compute_coco_scores(truth, results, kind, backend, max_results)]
    except DataError as error:
        path = ground_truth if str(error).startswith("ground truth") else prediction
        raise DataError(f"{path}: {error}") from None


def read_coco_json(path: Path) -> Json:
    """COCO annotations; DataError unless images, annotations and categories are lists of objects."""
    content = read_json(path)
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in keys):
        raise DataError(f"{path}: expected COCO annotations, a JSON object with the lists {', '.join(keys)}.")
    for key in keys:
        wrong = [entry for entry in content[key] if not isinstance(entry, dict)]
        if wrong:
            raise DataError(f"{path}: expected JSON objects in the list '{key}', but got {wrong[0]!r:.80}.")
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
            "image_id": _look_up(images, entry, "image_id", f"{path}: annotation {number}"),
            "category_id": _look_up(categories, entry, "category_id", f"{path}: annotation {number}"),
            "score": entry.get("score", 1.0),
        }
        for number, entry in enumerate(content["annotations"], start=1)
    ]


def _translate(mine: list[Json], theirs: list[Json], key: str, path: Path) -> dict[Any, Any]:
    """My id -> their id of the entries with equal `key`."""
    known = {entry[key]: entry.get("id") for entry in theirs if isinstance(entry.get(key), str)}
    table: dict[Any, Any] = {}
    for entry in mine:
        if not isinstance(entry.get("id"), (int, str)) or entry["id"] in table:
            raise DataError(f"{path}: expected an id of its own in each entry with a {key}, but got {entry!r:.80}.")
        table[entry["id"]] = entry.get(key)
    missing = [name for name in table.values() if not isinstance(name, str) or name not in known]
    if missing:
        raise DataError(f"{path}: {len(missing)} {key} not in the ground truth, the first is {missing[0]!r:.80}.")
    return {own_id: known[name] for own_id, name in table.items()}


def _look_up(table: Mapping[Any, Any], entry: Json, key: str, where: str) -> Any:
    if not isinstance(entry.get(key), (int, str)) or entry[key] not in table:
        raise DataError(f"{where}: its {key} {entry.get(key)!r:.80} is not in the file's own list.")
    return table[entry[key]]


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


def _check_limits(max_results: Sequence[int]) -> tuple[int, ...]:
    limits = tuple(sorted(set(max_results)))
    if not limits or not all(isinstance(limit, int) and limit >= 1 for limit in limits):
        raise ConfigError(f"max_results: expected whole numbers from 1, but got {tuple(max_results)}.")
    return limits


def _summarise(tables: CocoTables, limits: tuple[int, ...]) -> dict[str, float | None]:
    """Not by the programs' own summary: pycocotools' takes its AP at 100 results, whatever was asked for."""
    summary = {"AP": _mean_defined(tables.precision[:, :, :, 0, -1])}
    for name, row in (("AP50", _IOU_50), ("AP75", _IOU_75)):
        summary[name] = _mean_defined(tables.precision[row, :, :, 0, -1])
    summary |= {f"AP {name}": _mean_defined(tables.precision[:, :, :, area, -1]) for name, area in _SIZES.items()}
    summary |= {f"AR@{limit}": _mean_defined(tables.recall[:, :, 0, column]) for column, limit in enumerate(limits)}
    return summary | {f"AR {name}": _mean_defined(tables.recall[:, :, area, -1]) for name, area in _SIZES.items()}


def _class_precisions(tables: CocoTables, records: CocoRecords) -> dict[str, dict[str, float | None]]:
    return {
        name: {
            "ap": _mean_defined(tables.precision[:, :, index, 0, -1]),
            "ap50": _mean_defined(tables.precision[_IOU_50, :, index, 0, -1]),
        }
        for index, name in enumerate(records.names)
    }


def _mean_defined(values: NDArray[np.float64]) -> float | None:
    """Both programs say -1 where nothing is to be found."""
    return compute_mean([float(value) for value in values[values > -1]])


def _describe_protocol(kind: str, backend: str) -> str:
    """With the program that computed it; of boundaries there is only one."""
    return _PROTOCOLS[kind] if kind == "boundary" else f"{_PROTOCOLS[kind]} ({_PROGRAMS[backend]})"


def _conventions(kind: str, limits: tuple[int, ...]) -> dict[str, str]:
    return {
        "AP": "mean over IoU 0.50:0.05:0.95 and classes with objects, 101 recall points",
        **_IOU[kind],
        "crowd": "matched or not, never counted",
        "difficult": "counted like any other (COCO has no such mark)",
        "results per image and class": f"{limits[-1]} highest",
    }
