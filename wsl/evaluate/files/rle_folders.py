"""Scores of predicted masks in JSON files, as instances and as label maps, against a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wsl.data.images import read_image_size
from wsl.data.reader import Dataset
from wsl.errors import DataError
from wsl.evaluate.detection.coco import build_coco_ground_truth, compute_coco_scores
from wsl.evaluate.files.box_fit import check_image_id
from wsl.evaluate.files.box_folders import find_image_names
from wsl.evaluate.files.options import EvaluateOptions, Evaluation, describe_classes
from wsl.evaluate.files.rle_json import (
    ImageMasks,
    build_mask_results,
    draw_label_map,
    read_mask_file,
    read_mask_list,
)
from wsl.evaluate.files.sources import pair_files, read_truth
from wsl.evaluate.metrics import MetricSet, choose_metrics
from wsl.evaluate.metrics.case import LabelMapCase
from wsl.evaluate.result import Score
from wsl.progress import Progress, Silent, track
from wsl.types import Sample


def evaluate_masks(
    prediction: Path,
    dataset: Dataset,
    options: EvaluateOptions = EvaluateOptions(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
) -> Evaluation:
    """Every score that the ground truth allows, for a folder of mask files or one file of all (see `rle_json`).

    Where all objects have masks: COCO's mask AP/AR, with `options.boundary` boundary AP too. Where the data set has
    label maps: the metrics of label maps, of the masks laid over one another, the highest score on top. An image that
    one file of all does not mention has no mask.

    Raises:
        DataError: unknown images, masks of another size than their image, or nothing to score against.
    """
    scored = [sample for sample in dataset.samples if sample.instances is not None or sample.mask is not None]
    if not scored:
        raise DataError(f"{dataset.root}: the data set has neither instances nor masks to score against.")
    if prediction.is_dir():
        images, counts = _read_folder(prediction, scored, dataset, options.missing, progress or Silent())
    else:
        images, counts = _read_list(prediction, scored, dataset), {}
    _check_sizes(images, scored, prediction)
    instances = _score_instances(images, scored, dataset, options.boundary)
    drawn = _score_label_maps(images, scored, dataset, options, progress or Silent())
    if not instances and not drawn.scores:
        raise DataError(f"{dataset.root}: the data set has boxes but no masks to score masks against.")
    about = describe_classes(dataset.classes)
    return Evaluation([*instances, *drawn.scores], drawn.tables, about).with_counts(counts)


def _read_folder(
    folder: Path, samples: Sequence[Sample], dataset: Dataset, missing: str, progress: Progress
) -> tuple[dict[str, ImageMasks], dict[str, int]]:
    pairing = pair_files(folder, [sample.image_id for sample in samples], (".json",), missing)
    image_paths = {sample.image_id: sample.image_path for sample in samples}
    names = find_image_names(samples)
    images: dict[str, ImageMasks] = {}
    for image_id, path in track(pairing.pairs, progress, "masks", len(pairing.pairs)):
        if path is None:
            images[image_id] = _without_masks(image_paths[image_id])
        else:
            images[image_id] = read_mask_file(path, dataset.classes)
            check_image_id(images[image_id].image_id, image_id, names, path)
    return images, pairing.counts


def _read_list(path: Path, samples: Sequence[Sample], dataset: Dataset) -> dict[str, ImageMasks]:
    names = find_image_names(samples)
    found: dict[str, ImageMasks] = {}
    is_coco = dataset.format == "coco"
    for name, masks in read_mask_list(path, dataset.classes, refuse_numbers=is_coco).items():
        if name not in names:
            raise DataError(f"{path}: image_id {name!r:.80} is not an image with ground truth.")
        if names[name] in found:
            raise DataError(f"{path}: image_id {name!r} is the image '{names[name]}', which was there before.")
        found[names[name]] = masks
    rest = [sample for sample in samples if sample.image_id not in found]
    return found | {sample.image_id: _without_masks(sample.image_path) for sample in rest}


def _without_masks(image_path: Path) -> ImageMasks:
    return ImageMasks(read_image_size(image_path), ())


def _check_sizes(images: Mapping[str, ImageMasks], samples: Sequence[Sample], prediction: Path) -> None:
    for sample in samples:
        if sample.image_id not in images:
            continue
        mine, theirs = images[sample.image_id].size, read_image_size(sample.image_path)
        if mine != theirs:
            raise DataError(
                f"{prediction}: the masks of '{sample.image_id}' are for {mine[0]}x{mine[1]}, but the image is "
                f"{theirs[0]}x{theirs[1]} (height x width): sizes must be equal, nothing is resized."
            )


def _score_instances(
    images: Mapping[str, ImageMasks], samples: Sequence[Sample], dataset: Dataset, boundary: bool
) -> list[Score]:
    known = [sample for sample in samples if sample.image_id in images and sample.instances is not None]
    objects = [instance for sample in known for instance in sample.instances or ()]
    if not objects or any(instance.segmentation is None for instance in objects):
        return []
    rows = ((each.image_id, images[each.image_id].size, each.instances or ()) for each in known)
    truth, numbers = build_coco_ground_truth(rows, dataset.classes)
    results = build_mask_results({each.image_id: images[each.image_id] for each in known}, numbers)
    kinds = ("segm", "boundary") if boundary else ("segm",)
    return [score for kind in kinds for score in compute_coco_scores(truth, results, kind)]


def _score_label_maps(
    images: Mapping[str, ImageMasks],
    samples: Sequence[Sample],
    dataset: Dataset,
    options: EvaluateOptions,
    progress: Progress,
) -> Evaluation:
    if not dataset.has_masks:
        return Evaluation([])
    settings = options.settings(dataset.classes)
    metrics = MetricSet(choose_metrics("label_maps", options.metrics, settings), settings)
    known = [sample for sample in samples if sample.image_id in images]
    for sample in track(known, progress, "label maps", len(known)):
        truth = read_truth(sample, len(dataset.classes))
        if truth is not None:
            metrics.update(LabelMapCase(sample.image_id, truth, draw_label_map(images[sample.image_id])))
    overlaps = {"overlapping masks": "highest score"}
    scores = [replace(each, conventions=each.conventions | overlaps) for each in metrics.scores()]
    return Evaluation(scores, metrics.tables())
