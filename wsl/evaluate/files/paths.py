"""Scores a prediction against a ground truth, both given as paths: finds out what they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from wsl.data.dataset import READERS
from wsl.data.reader import Dataset, list_formats, open_dataset
from wsl.errors import ConfigError, DataError
from wsl.evaluate.detection.coco import evaluate_coco_json
from wsl.evaluate.files.box_folders import evaluate_boxes
from wsl.evaluate.files.guessing import ACCEPTED_TRUTH, KINDS, guess_kind, is_mask_folder, is_wsol_metadata
from wsl.evaluate.files.label_map_folders import evaluate_label_maps
from wsl.evaluate.files.option_checks import check_used, check_values
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
        ConfigError: an unknown kind, policy or metric, a split of something that has none, or an option that what is
            scored has no use for.
    """
    check_policy(options.kind, ("auto", *KINDS), "--kind")
    check_values(options)
    kind = guess_kind(prediction, ground_truth) if options.kind == "auto" else options.kind
    scored = _find_scored(prediction, ground_truth, kind)
    check_used(options, scored)
    found = _evaluate(prediction, ground_truth, options, scored, _Way(progress or Silent(), read_map))
    about = {
        "kind": kind,
        "split": options.split or "all",
        "ground truth": ground_truth.name,
        "prediction": prediction.name,
    }
    return add_intervals(replace(found, about=about | found.about), options.resampling())


@dataclass(frozen=True)
class _Way:
    """How files are read, and who is told of it."""

    progress: Progress
    read_map: ReadMap


def _find_scored(prediction: Path, ground_truth: Path, kind: str) -> str:
    """What is scored: a key of `option_checks.USED`."""
    if ground_truth.is_dir() and is_wsol_metadata(ground_truth):
        if kind != "score_maps":
            raise DataError(
                f"{ground_truth}: wsolevaluation's metadata is for score maps, but {prediction} holds {kind}; grey "
                "PNGs of score maps need --kind score_maps."
            )
        return "wsolevaluation's metadata"
    if kind in ("label_maps", "score_maps"):
        return kind.replace("_", " ")
    what = "masks" if kind == "masks" else "boxes"
    if prediction.is_dir():
        return "mask files" if what == "masks" else "box files"
    if what == "boxes" and (ground_truth.suffix.lower() == ".json" or isinstance(read_json(prediction), dict)):
        return "COCO JSON"
    return f"a list of {what}"


def _evaluate(prediction: Path, ground_truth: Path, options: EvaluateOptions, scored: str, way: _Way) -> Evaluation:
    if scored == "wsolevaluation's metadata":
        return _evaluate_wsol(prediction, ground_truth, options, way.progress)
    if scored == "COCO JSON":
        annotations = _find_annotations(prediction, ground_truth, options)
        return Evaluation(evaluate_coco_json(prediction, annotations, options.boundary))
    truth = _open_truth(ground_truth, options)
    if scored == "label maps":
        return evaluate_label_maps(prediction, truth, _without_names(truth, options), way.progress)
    if scored == "score maps":
        split = None if isinstance(truth, Path) else partial(_open_split, ground_truth, options)
        source = MapSource(prediction, way.read_map, split)
        return evaluate_score_maps(source, truth, _without_names(truth, options), way.progress)
    if isinstance(truth, Path):
        raise DataError(f"{truth}: {scored} are scored against a data set or COCO annotations, not label maps.")
    evaluate = evaluate_masks if "mask" in scored else evaluate_boxes
    return evaluate(prediction, truth, options, way.progress)


def _evaluate_wsol(prediction: Path, metadata: Path, options: EvaluateOptions, progress: Progress) -> Evaluation:
    """Metadata scores by the published protocol unless another is asked for."""
    _refuse_split(options, metadata)
    return evaluate_wsol_folder(
        prediction,
        metadata,
        options.mask_root,
        protocol=options.protocol or "wsolevaluation",
        missing="constant" if options.missing == "background" else options.missing,
        rankings=options.rankings,
        classes=options.classes,
        progress=progress,
    )


def _open_truth(ground_truth: Path, options: EvaluateOptions) -> Path | Dataset:
    if not ground_truth.exists():
        raise DataError(f"{ground_truth}: no such file or folder; expected {ACCEPTED_TRUTH}.")
    if ground_truth.is_dir() and is_mask_folder(ground_truth):
        _refuse_split(options, ground_truth)
        return ground_truth
    if all(READERS.get(name).guess(ground_truth) is None for name in list_formats()):
        raise DataError(f"{ground_truth}: nothing to score against is known there; expected {ACCEPTED_TRUTH}.")
    return _open_split(ground_truth, options, options.split)


def _open_split(ground_truth: Path, options: EvaluateOptions, split: str | None) -> Dataset:
    return open_dataset(ground_truth, split=split, classes=options.classes.names if options.classes else None)


def _without_names(truth: Path | Dataset, options: EvaluateOptions) -> EvaluateOptions:
    """A data set was opened with the class names and has its own now."""
    return options if isinstance(truth, Path) else replace(options, classes=None)


def _find_annotations(prediction: Path, ground_truth: Path, options: EvaluateOptions) -> Path:
    """The COCO annotations that COCO JSON is scored against, whole: the file itself, or the only one of a data set."""
    if ground_truth.suffix.lower() == ".json":
        _refuse_split(options, ground_truth)
        return ground_truth
    annotations = sorted(ground_truth.glob("annotations/*.json"))
    if options.split is not None:
        raise ConfigError(
            f"{prediction}: COCO annotations are scored against a whole file, but got --split {options.split}; give "
            "the annotations file of that split as ground truth."
        )
    if len(annotations) != 1:
        raise DataError(f"{prediction}: COCO annotations are scored against one COCO annotations file; give its path.")
    return annotations[0]


def _refuse_split(options: EvaluateOptions, ground_truth: Path) -> None:
    if options.split is not None:
        raise ConfigError(
            f"{ground_truth}: split '{options.split}' needs a data set; this ground truth is scored whole."
        )
