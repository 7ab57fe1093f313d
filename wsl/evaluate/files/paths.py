"""Scores a prediction against a ground truth, both given as paths: finds out what they are."""

from __future__ import annotations

from pathlib import Path

from PIL import Image as PilImage

from wsl.data.images import IMAGE_SUFFIXES
from wsl.data.reader import Dataset, open_dataset
from wsl.errors import ConfigError, DataError
from wsl.evaluate.detection.coco import evaluate_coco_json
from wsl.evaluate.files.box_folders import evaluate_boxes_file
from wsl.evaluate.files.folders import (
    SCORE_MAP_SUFFIXES,
    ReadMap,
    evaluate_label_map_folders,
    evaluate_score_map_folder,
)
from wsl.evaluate.result import Score
from wsl.evaluate.segmentation.confusion import check_policy
from wsl.files import read_json
from wsl.progress import Progress
from wsl.types import ClassSet

KINDS = ("label_maps", "score_maps", "boxes", "coco")
ACCEPTED = (
    "a folder of label maps (<image_id>.png), a folder of score maps (<image_id>.npz or .npy), a folder of boxes "
    "(<image_id>.json with 'boxes'), a COCO results list (.json) or COCO annotations (.json)"
)
_KIND_OF_SUFFIX = {".png": "label_maps", ".json": "boxes"} | dict.fromkeys(SCORE_MAP_SUFFIXES, "score_maps")
# Entries of a data set's root that a plain folder of label maps does not have.
_DATASET_ENTRIES = ("JPEGImages", "Annotations", "ImageSets", "annotations", "images", "masks", "train", "val")


def evaluate_paths(
    prediction: Path,
    ground_truth: Path,
    *,
    classes: ClassSet | None = None,
    kind: str = "auto",
    split: str | None = None,
    predicted_ignore: str = "background",
    absent: str = "skip",
    missing: str = "error",
    progress: Progress | None = None,
    read_map: ReadMap | None = None,
) -> list[Score]:
    """Scores of whatever lies at `prediction`.

    Args:
        prediction: see `ACCEPTED`; `kind` says which one where it cannot be guessed ("auto", or one of KINDS).
        ground_truth: a folder of label-map PNGs, a data set, or COCO annotations (.json).
        classes: foreground names in the order of their ids; needed only for a folder of PNGs, to name the classes.
        split: which part of a data set is scored; None is all of it.
        predicted_ignore, absent, missing: policies, see `evaluate_label_map_folders`.
        progress: told of every image.
        read_map: reads a score map file; None reads foreign ones (`scores` and `class_ids`).

    Raises:
        DataError: a path does not exist, is of no known kind, or its content does not fit.
        ConfigError: an unknown kind or policy, or a split of something that has none.
    """
    check_policy(kind, ("auto", *KINDS), "kind")
    kind = guess_kind(prediction) if kind == "auto" else kind
    if kind in ("coco", "boxes") and ground_truth.suffix.lower() == ".json" and prediction.is_file():
        _refuse_split(split, ground_truth)
        return evaluate_coco_json(prediction, ground_truth)
    truth = _open_truth(ground_truth, classes, split)
    if kind in ("coco", "boxes"):
        return _evaluate_boxes(prediction, truth, missing, progress)
    if kind == "label_maps":
        return evaluate_label_map_folders(
            prediction, truth, _names_for(truth, classes), predicted_ignore, absent, missing, progress
        )
    names = _names_for(truth, classes)
    policies = {"absent": absent, "missing": missing}
    return evaluate_score_map_folder(prediction, truth, names, **policies, progress=progress, read_map=read_map)


def guess_kind(prediction: Path) -> str:
    """One of KINDS, from the files at `prediction`; DataError that says what is accepted."""
    if not prediction.exists():
        raise DataError(f"{prediction}: no such file or folder; expected {ACCEPTED}.")
    if prediction.is_file():
        if prediction.suffix.lower() == ".json":
            return "coco"
        raise DataError(f"{prediction}: expected {ACCEPTED}.")
    suffixes = {path.suffix.lower() for path in prediction.rglob("*") if not path.name.startswith(".")}
    kinds = sorted({_KIND_OF_SUFFIX[suffix] for suffix in suffixes if suffix in _KIND_OF_SUFFIX})
    if not kinds:
        raise DataError(f"{prediction}: found nothing to score; expected {ACCEPTED}.")
    if len(kinds) > 1:
        raise DataError(f"{prediction}: holds files for {' and '.join(kinds)}; say which with kind={kinds[0]}.")
    return kinds[0]


def is_mask_folder(folder: Path) -> bool:
    """True for a folder of label-map PNGs, False for a data set.

    Label maps are PNGs and nothing else. PNGs in sub-folders could also be images sorted by class: then the first
    one decides, label maps have a palette.
    """
    entries = list(folder.iterdir())
    tables = any(path.suffix.lower() in (".csv", ".jsonl") for path in entries)
    if tables or {path.name for path in entries} & set(_DATASET_ENTRIES):
        return False
    images = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not images or any(path.suffix.lower() != ".png" for path in images):
        return False
    return images[0].parent == folder or _has_palette(images[0])


def _has_palette(path: Path) -> bool:
    try:
        with PilImage.open(path, formats=("PNG",)) as image:
            return image.mode == "P"
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: the image is damaged ({error}).") from None


def _open_truth(ground_truth: Path, classes: ClassSet | None, split: str | None) -> Path | Dataset:
    if not ground_truth.exists():
        raise DataError(f"{ground_truth}: no such file or folder; expected label maps, a data set or COCO annotations.")
    if ground_truth.is_dir() and is_mask_folder(ground_truth):
        _refuse_split(split, ground_truth)
        return ground_truth
    return open_dataset(ground_truth, split=split, classes=classes.names if classes else None)


def _names_for(truth: Path | Dataset, classes: ClassSet | None) -> ClassSet | None:
    return classes if isinstance(truth, Path) else None


def _evaluate_boxes(prediction: Path, truth: Path | Dataset, missing: str, progress: Progress | None) -> list[Score]:
    if isinstance(truth, Path):
        raise DataError(f"{truth}: boxes are scored against a data set with boxes or COCO annotations, not masks.")
    if prediction.is_file() and isinstance(read_json(prediction), dict):
        return _evaluate_annotations(prediction, truth)
    return evaluate_boxes_file(prediction, truth, missing, progress)


def _evaluate_annotations(prediction: Path, dataset: Dataset) -> list[Score]:
    annotations = sorted(dataset.root.glob("annotations/*.json"))
    if dataset.format == "coco" and dataset.root.is_file():
        annotations = [dataset.root]
    if len(annotations) != 1:
        raise DataError(f"{prediction}: COCO annotations are scored against one COCO annotations file; give its path.")
    return evaluate_coco_json(prediction, annotations[0])


def _refuse_split(split: str | None, ground_truth: Path) -> None:
    if split is not None:
        raise ConfigError(f"{ground_truth}: split '{split}' needs a data set; this ground truth is scored whole.")
