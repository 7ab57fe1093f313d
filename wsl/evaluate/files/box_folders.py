"""Scores of predicted boxes in files against the boxes of a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wsl.data.images import read_image_size
from wsl.data.reader import Dataset
from wsl.errors import DataError
from wsl.evaluate.files.box_files import BoxFile, check_place, read_box_file
from wsl.evaluate.files.box_fit import check_image_id, fit_boxes
from wsl.evaluate.files.box_xml import read_box_xml
from wsl.evaluate.files.options import EvaluateOptions, Evaluation, describe_classes
from wsl.evaluate.files.sources import pair_files
from wsl.evaluate.json_numbers import is_number
from wsl.evaluate.metrics import MetricSet, choose_metrics
from wsl.evaluate.metrics.case import BoxCase
from wsl.files import read_json
from wsl.progress import Progress, Silent, track
from wsl.types import Box, ClassSet, Sample

_READERS: dict[str, Callable[[Path, ClassSet], BoxFile]] = {".json": read_box_file, ".xml": read_box_xml}


def evaluate_boxes(
    prediction: Path,
    dataset: Dataset,
    options: EvaluateOptions = EvaluateOptions(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
) -> Evaluation:
    """Scores of a folder of box files or of a COCO results list.

    A folder holds one file per image, JSON (see `wsl.evaluate.files.box_files`) or XML (`wsl.evaluate.files.box_xml`).
    Boxes of an XML file that is for another size are scaled to their image as those of the data set are, and counted.

    In a results list `image_id` is ours (a number is looked for among names that are numbers, as COCO's are) and
    `category_id` is the class_id; boxes are xywh. An image that a results list does not mention has no box. For COCO
    annotations give the JSON file itself as ground truth (`evaluate_coco_json`): its category ids are not class ids.
    """
    scored = [sample for sample in dataset.samples if sample.instances is not None]
    if not scored:
        raise DataError(f"{dataset.root}: the data set has no boxes to score against.")
    if prediction.is_dir():
        predicted, counts = _read_folder(prediction, scored, dataset.classes, options.missing, progress or Silent())
        scored = [sample for sample in scored if sample.image_id in predicted]
    else:
        predicted, counts = _read_results(prediction, scored, dataset), {}
    settings = options.settings(dataset.classes, has_masks=False, has_boxes=True)
    metrics = MetricSet(choose_metrics("boxes", options.metrics, settings), settings)
    for sample in scored:
        found = tuple(predicted.get(sample.image_id, ()))
        metrics.update(BoxCase(sample.image_id, found, sample.instances or ()))
    return Evaluation(metrics.scores(), metrics.tables(), describe_classes(dataset.classes)).with_counts(counts)


def _read_folder(
    folder: Path, samples: Sequence[Sample], classes: ClassSet, missing: str, progress: Progress
) -> tuple[dict[str, list[Box]], dict[str, int]]:
    pairing = pair_files(folder, [sample.image_id for sample in samples], tuple(_READERS), missing)
    image_paths, names = {sample.image_id: sample.image_path for sample in samples}, find_image_names(samples)
    boxes: dict[str, list[Box]] = {}
    scaled = 0
    for image_id, path in track(pairing.pairs, progress, "boxes", len(pairing.pairs)):
        boxes[image_id] = []
        if path is not None:
            found = _READERS[path.suffix.lower()](path, classes)
            check_image_id(found.image_id, image_id, names, path)
            size = read_image_size(image_paths[image_id])
            boxes[image_id] = fit_boxes(found, size, path)
            scaled += len(found.boxes) if found.size not in (None, size) else 0
    return boxes, pairing.counts | ({"boxes scaled to their image": scaled} if scaled else {})


def _read_results(path: Path, samples: Sequence[Sample], dataset: Dataset) -> dict[str, list[Box]]:
    content = read_json(path)
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise DataError(f"{path}: expected a COCO results list, a JSON list of objects.")
    names, image_paths = find_image_names(samples), {sample.image_id: sample.image_path for sample in samples}
    boxes: dict[str, list[Box]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for number, entry in enumerate(content, start=1):
        _check_entry(entry, names, dataset, f"{path}: result {number}")
        x, y, width, height = (float(side) for side in entry["bbox"])
        box = Box((x, y, x + width, y + height), entry["category_id"], float(entry["score"]))
        image_id = names[entry["image_id"]]
        if image_id not in sizes:
            sizes[image_id] = read_image_size(image_paths[image_id])
        check_place(box.xyxy, sizes[image_id], f"{path}: result {number}")
        boxes.setdefault(image_id, []).append(box)
    return boxes


def find_image_names(samples: Sequence[Sample]) -> dict[Any, str]:
    """What a list may call an image -> its image_id: this itself, or 139 for "train/000000000139" if no other fits."""
    return {sample.image_id: sample.image_id for sample in samples} | _number_names(samples)


def _number_names(samples: Sequence[Sample]) -> dict[Any, str]:
    numbers: dict[Any, str] = {}
    doubles = set()
    for sample in samples:
        stem = sample.image_id.rsplit("/", 1)[-1]
        if stem.isascii() and stem.isdecimal():
            if int(stem) in numbers:
                doubles.add(int(stem))
            numbers[int(stem)] = sample.image_id
    return {number: name for number, name in numbers.items() if number not in doubles}


def _check_entry(entry: dict[str, Any], names: Mapping[Any, str], dataset: Dataset, where: str) -> None:
    if dataset.format == "coco" and isinstance(entry.get("image_id"), int):
        raise DataError(
            f"{where}: these are COCO's own image and category ids; give the annotations JSON file as ground truth."
        )
    if not isinstance(entry.get("image_id"), (int, str)) or entry["image_id"] not in names:
        raise DataError(f"{where}: image_id {entry.get('image_id')!r:.80} is not an image with ground-truth boxes.")
    if entry.get("category_id") not in dataset.classes.ids:
        raise DataError(
            f"{where}: expected category_id to be a class_id in 1..{len(dataset.classes)}, "
            f"but got {entry.get('category_id')!r:.80}."
        )
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(is_number(side) for side in box) or min(box[2:]) < 0:
        raise DataError(
            f"{where}: expected 'bbox' as four numbers x, y, width, height, none of the sides negative, "
            f"but got {box!r:.80}."
        )
    if not is_number(entry.get("score")):
        raise DataError(f"{where}: expected a finite number as 'score', but got {entry.get('score')!r:.80}.")
