"""Scores of predictions in files: folders of label maps, of score maps, of boxes."""

from __future__ import annotations

import dataclasses
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.data.label_maps import read_label_map
from wsl.data.reader import Dataset
from wsl.errors import ConfigError, DataError
from wsl.evaluate.files.sources import (
    MaskSet,
    Pairing,
    find_largest_class,
    largest_of,
    name_classes,
    open_dataset_masks,
    open_mask_folder,
    pair_files,
)
from wsl.evaluate.result import Score
from wsl.evaluate.segmentation.confusion import Confusion, count_pairs
from wsl.evaluate.segmentation.scores import segmentation_scores
from wsl.evaluate.segmentation.sweep import BackgroundSweep
from wsl.progress import Progress, Silent, track
from wsl.types import ClassSet, LabelMap, Scores

SCORE_MAP_SUFFIXES = (".npz", ".npy")
# What NumPy, zipfile and zlib raise for a damaged file.
_LOAD_ERRORS = (
    *(OSError, ValueError, EOFError, LookupError, SyntaxError, TypeError, ArithmeticError, MemoryError),
    *(NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error, TokenError),
)

ReadMap = Callable[[Path], tuple[Scores, tuple[int, ...]]]  # file -> scores (K, H, W), class ids


def evaluate_label_map_folders(
    prediction: Path,
    ground_truth: Path | Dataset,
    classes: ClassSet | None = None,
    predicted_ignore: str = "background",
    absent: str = "skip",
    missing: str = "error",
    progress: Progress | None = None,
) -> list[Score]:
    """mIoU and its company for a folder of label-map PNGs named by image id.

    Args:
        prediction: folder, searched below; `<image_id>.png`, uint8 values 0..N and 255.
        ground_truth: a folder of the same kind, or a data set with masks.
        classes: names for a ground-truth folder; without them "class 1".. up to the largest id present.
        predicted_ignore: what a predicted 255 is, see `reduce_pairs`.
        absent: which classes are in the mean, see `compute_iou`.
        missing: "error", "skip" or "background", see `pair_files`.
        progress: told of every image.

    Raises:
        DataError: predictions are missing, sizes differ, values are outside 0..N.
    """
    masks = open_masks(ground_truth, classes)
    pairing = pair_files(prediction, masks.image_ids, (".png",), missing)
    tables = _count_all(pairing, masks, progress or Silent())
    if masks.classes is None:
        confusion, names = _sum_unnamed(tables, predicted_ignore)
    else:
        confusion, names = Confusion(len(masks.classes), predicted_ignore), masks.classes
        for image_id, table in tables:
            confusion.update_pairs(table, 1, image_id)
    _refuse_binary(confusion, ground_truth)
    return _with_counts(segmentation_scores(confusion, names, absent), pairing)


def _refuse_binary(confusion: Confusion, ground_truth: Path | Dataset) -> None:
    """0/255 masks read as label maps would score the background only: 255 means "do not score"."""
    if confusion.dropped and not confusion.matrix[1:].sum():
        name = ground_truth if isinstance(ground_truth, Path) else ground_truth.root
        raise DataError(
            f"{name}: expected label maps (pixel values are class ids), but found only 0 and 255, which means 'do not "
            "score'. 0/255 masks belong into masks/<class>/ of a folder data set; give that data set instead."
        )


def evaluate_score_map_folder(
    prediction: Path,
    ground_truth: Path | Dataset,
    classes: ClassSet | None = None,
    thresholds: ArrayLike | None = None,
    rule: str = "constant",
    absent: str = "skip",
    missing: str = "error",
    progress: Progress | None = None,
    read_map: ReadMap | None = None,
) -> list[Score]:
    """Background sweep over a folder of score maps at image resolution: mIoU at the best threshold (oracle) and curve.

    `<image_id>.npz` holds `scores` floating (K, H, W) and `class_ids` (K,); `<image_id>.npy` holds scores of all N
    classes in their order; `read_map` reads other files. Nothing pickled is read. `thresholds` default to 0.00, 0.01,
    .. 0.99 of the rule.
    """
    masks = open_masks(ground_truth, classes)
    pairing = pair_files(prediction, masks.image_ids, SCORE_MAP_SUFFIXES, missing)
    count = len(masks.classes) if masks.classes else find_largest_class(masks)
    values = np.arange(100) / 100 if thresholds is None else thresholds
    sweep = BackgroundSweep(count, values, rule)
    for image_id, path in track(pairing.pairs, progress or Silent(), "score maps", len(pairing.pairs)):
        truth = masks.read(image_id)
        scores, class_ids = (
            (read_map or read_score_map)(path) if path else (np.zeros((0, *truth.shape), np.float32), ())
        )
        sweep.update(scores, class_ids, truth, image_id)
    return _with_counts([sweep.best(masks.classes, absent)], pairing)


def read_score_map(path: Path) -> tuple[Scores, tuple[int, ...]]:
    """(scores float32 (K, H, W), class ids) of a file as described in `evaluate_score_map_folder`."""
    arrays = load_arrays(path)
    scores = arrays.get("scores")
    if scores is None or scores.ndim != 3 or not np.issubdtype(scores.dtype, np.floating):
        shape = f"{scores.dtype} {scores.shape}" if scores is not None else f"arrays {sorted(arrays)}"
        raise DataError(f"{path}: expected 'scores' floating (K, H, W), but got {shape}.")
    class_ids = arrays.get("class_ids", np.arange(1, len(scores) + 1))
    if path.suffix.lower() == ".npz" and "class_ids" not in arrays:
        raise DataError(f"{path}: expected an array 'class_ids' beside 'scores', but got {sorted(arrays)}.")
    return scores.astype(np.float32), _to_ids(class_ids, path)


def load_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of a .npz by name, or that of a .npy as `scores`; DataError for broken files and pickles."""
    try:
        with path.open("rb") as stream:
            loaded = np.load(stream, allow_pickle=False)
            return {"scores": loaded} if isinstance(loaded, np.ndarray) else {key: loaded[key] for key in loaded.files}
    except _LOAD_ERRORS as error:
        raise DataError(f"{path}: expected a NumPy file without Python objects, but {error}.") from None


def open_masks(ground_truth: Path | Dataset, classes: ClassSet | None = None) -> MaskSet:
    """Ground-truth maps of a folder of PNGs or of a data set (which knows its classes itself)."""
    if isinstance(ground_truth, Path):
        return open_mask_folder(ground_truth, classes)
    if classes is not None and classes.names != ground_truth.classes.names:
        raise ConfigError(f"{ground_truth.root}: its classes are {ground_truth.classes.names}, not {classes.names}.")
    return open_dataset_masks(ground_truth)


def _to_ids(class_ids: NDArray[np.generic], path: Path) -> tuple[int, ...]:
    if class_ids.ndim != 1 or (class_ids.size and not np.issubdtype(class_ids.dtype, np.integer)):
        raise DataError(f"{path}: expected 'class_ids' as whole numbers (K,), but got {class_ids.dtype}.")
    return tuple(int(class_id) for class_id in class_ids)


def _count_all(pairing: Pairing, masks: MaskSet, progress: Progress) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """(image_id, table of `count_pairs`) of every pair; a missing prediction is all background."""
    for image_id, path in track(pairing.pairs, progress, "label maps", len(pairing.pairs)):
        truth = masks.read(image_id)
        predicted: LabelMap = np.zeros_like(truth) if path is None else read_label_map(path)
        yield image_id, count_pairs(truth, predicted, image_id)


def _sum_unnamed(tables: Iterable[tuple[str, NDArray[np.int64]]], predicted_ignore: str) -> tuple[Confusion, ClassSet]:
    """Without a class list, N is the largest value below 255 in any map."""
    total, images = np.zeros((256, 256), np.int64), 0
    for _, table in tables:
        total += table
        images += 1
    present = np.flatnonzero(total.sum(axis=0) + total.sum(axis=1)).astype(np.uint8)
    names = name_classes(max(1, largest_of(present[None])))
    confusion = Confusion(len(names), predicted_ignore)
    confusion.update_pairs(total, images)
    return confusion, names


def _with_counts(scores: list[Score], pairing: Pairing) -> list[Score]:
    return [dataclasses.replace(score, counts=score.counts | pairing.counts) for score in scores]
