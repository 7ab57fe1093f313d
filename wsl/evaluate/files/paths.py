"""Scores a prediction against a ground truth, both given as paths: finds out what they are."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from wsl.data.reader import Dataset, open_dataset
from wsl.errors import ConfigError, DataError
from wsl.evaluate.detection.coco import evaluate_coco_json
from wsl.evaluate.files.box_folders import evaluate_boxes
from wsl.evaluate.files.guessing import KINDS, guess_kind, is_mask_folder, is_wsol_metadata
from wsl.evaluate.files.label_map_folders import evaluate_label_maps
from wsl.evaluate.files.options import EvaluateOptions, Evaluation, add_intervals
from wsl.evaluate.files.rle_folders import evaluate_masks
from wsl.evaluate.files.score_map_files import ReadMap, read_map_file
from wsl.evaluate.files.score_map_folders import MapSource, evaluate_score_maps
from wsl.evaluate.segmentation.confusion import check_policy
from wsl.evaluate.wsol.folder import evaluate_wsol_folder
from wsl.files import read_json
from wsl.progress import Progress, Silent


def evaluate_paths(
    prediction: Path,
    ground_truth: Path,
    options: EvaluateOptions = EvaluateOptions(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
    read_map: ReadMap = read_map_file,
) -> Evaluation:
    """Scores of whatever lies at `prediction`.

    Args:
        prediction: see `guessing.ACCEPTED`; `options.kind` says which one where it cannot be guessed.
        ground_truth: a folder of label-map PNGs, a data set, COCO annotations (.json), or a folder of wsolevaluation's
            metadata.
        options: what is scored and how.
        progress: told of every image.
        read_map: reads a score map file; must be picklable.

    Raises:
        DataError: a path does not exist, is of no known kind, or its content does not fit.
        ConfigError: an unknown kind, policy or metric, or a split of something that has none.
    """
    check_policy(options.kind, ("auto", *KINDS), "kind")
    kind = guess_kind(prediction, ground_truth) if options.kind == "auto" else options.kind
    found = _evaluate(prediction, ground_truth, replace(options, kind=kind), progress or Silent(), read_map)
    about = {
        "kind": kind,
        "split": options.split or "all",
        "ground truth": ground_truth.name,
        "prediction": prediction.name,
    }
    return add_intervals(replace(found, about=about | found.about), options.intervals, options.seed)


def _evaluate(
    prediction: Path, ground_truth: Path, options: EvaluateOptions, progress: Progress, read_map: ReadMap
) -> Evaluation:
    if options.kind == "score_maps" and ground_truth.is_dir() and is_wsol_metadata(ground_truth):
        return _evaluate_wsol(prediction, ground_truth, options, progress)
    if options.kind in ("coco", "boxes") and ground_truth.suffix.lower() == ".json" and prediction.is_file():
        _refuse_split(options, ground_truth)
        return Evaluation(evaluate_coco_json(prediction, ground_truth, options.boundary))
    truth = _open_truth(ground_truth, options)
    if options.kind == "label_maps":
        return evaluate_label_maps(prediction, truth, _without_names(truth, options), progress)
    if options.kind == "score_maps":
        split = None if isinstance(truth, Path) else partial(_open_split, ground_truth, options)
        source = MapSource(prediction, read_map, split)
        return evaluate_score_maps(source, truth, _without_names(truth, options), progress)
    if isinstance(truth, Path):
        raise DataError(f"{truth}: {options.kind} are scored against a data set or COCO annotations, not label maps.")
    if options.kind == "masks":
        return evaluate_masks(prediction, truth, options, progress)
    if prediction.is_file() and isinstance(read_json(prediction), dict):
        return _evaluate_annotations(prediction, truth, options)
    return evaluate_boxes(prediction, truth, options, progress)


def _evaluate_wsol(prediction: Path, metadata: Path, options: EvaluateOptions, progress: Progress) -> Evaluation:
    """Metadata scores by the published protocol unless another is asked for."""
    _refuse_split(options, metadata)
    return evaluate_wsol_folder(
        prediction,
        metadata,
        options.mask_root,
        protocol=options.protocol if options.protocol != "original" else "wsolevaluation",
        missing="constant" if options.missing == "background" else options.missing,
        rankings=options.rankings,
        classes=options.classes,
        progress=progress,
    )


def _open_truth(ground_truth: Path, options: EvaluateOptions) -> Path | Dataset:
    if not ground_truth.exists():
        raise DataError(f"{ground_truth}: no such file or folder; expected label maps, a data set or COCO annotations.")
    if ground_truth.is_dir() and is_mask_folder(ground_truth):
        _refuse_split(options, ground_truth)
        return ground_truth
    return _open_split(ground_truth, options, options.split)


def _open_split(ground_truth: Path, options: EvaluateOptions, split: str | None) -> Dataset:
    return open_dataset(ground_truth, split=split, classes=options.classes.names if options.classes else None)


def _without_names(truth: Path | Dataset, options: EvaluateOptions) -> EvaluateOptions:
    """A data set was opened with the class names and has its own now."""
    return options if isinstance(truth, Path) else replace(options, classes=None)


def _evaluate_annotations(prediction: Path, dataset: Dataset, options: EvaluateOptions) -> Evaluation:
    annotations = sorted(dataset.root.glob("annotations/*.json"))
    if dataset.format == "coco" and dataset.root.is_file():
        annotations = [dataset.root]
    if len(annotations) != 1:
        raise DataError(f"{prediction}: COCO annotations are scored against one COCO annotations file; give its path.")
    return Evaluation(evaluate_coco_json(prediction, annotations[0], options.boundary))


def _refuse_split(options: EvaluateOptions, ground_truth: Path) -> None:
    if options.split is not None:
        raise ConfigError(
            f"{ground_truth}: split '{options.split}' needs a data set; this ground truth is scored whole."
        )
