"""What is read of an image's map files, before and after its classes are chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.cam.preset import Preset
from wsl.cam.pyramid import MapPyramid
from wsl.checks import check_scores
from wsl.errors import DataError
from wsl.types import ClassSet, Scores

# Maps in [0, 1] stay as they are: only enlarged to the image, bilinear, half-pixel centres.
KEPT = Preset(relu="none", normaliser="none")
ROUNDING = 1e-3  # how far outside [0, 1] a normalised map may lie (half precision, SEAM's own rule)


@dataclass(frozen=True)
class MapRequest:
    """The image whose maps are wanted.

    `size`: the image's (height, width). `labels`: ids of the classes that are wanted; None = all that there are.
    """

    image_id: str
    size: tuple[int, int]
    classes: ClassSet
    labels: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ClassMaps:
    """Maps of one image as its files hold them: `scores` float32 (K, h, w) of any range, for `class_ids`."""

    scores: Scores
    class_ids: tuple[int, ...]

    @property
    def is_raw(self) -> bool:
        """Whether some value lies outside [0, 1], so that the maps need a normaliser."""
        return self.scores.size > 0 and bool(self.scores.min() < -ROUNDING or self.scores.max() > 1 + ROUNDING)


@dataclass(frozen=True)
class StoredMaps:
    """Raw maps of a run of this toolkit and the preset that fuses them."""

    pyramid: MapPyramid
    preset: Preset

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Classes that have a map."""
        return self.pyramid.class_ids


def to_class_maps(path: Path, maps: Any, class_ids: tuple[int, ...]) -> ClassMaps:
    """Checked maps: finite floating (K, h, w) with at least one pixel, one map for each different class."""
    array = np.asarray(maps)
    check_scores(array, f"{path}, maps")
    if len(array) != len(class_ids) or 0 in array.shape[1:] or len(set(class_ids)) != len(class_ids):
        raise DataError(
            f"{path}: expected ({len(class_ids)}, h, w) for the classes {class_ids}, each once, but got {array.shape}."
        )
    with np.errstate(over="ignore"):
        scores: NDArray[np.float32] = np.ascontiguousarray(array, np.float32)
    check_scores(scores, f"{path}, maps")  # float64 beyond the range of float32
    return ClassMaps(scores, class_ids)


def check_full_size(path: Path, maps: Any, size: tuple[int, int]) -> None:
    """Raises DataError unless `maps` (K, H, W) are as large as the image, as the formats of other projects promise."""
    shape = tuple(np.shape(maps)[1:])
    if shape != size:
        found = "x".join(str(side) for side in shape)
        raise DataError(
            f"{path}: expected maps as large as the image, {size[0]}x{size[1]} (height x width), but got {found}; "
            "are they of other images, or of images that were turned or resized?"
        )


def check_classes(path: Path, class_ids: tuple[int, ...], classes: ClassSet, first_key: int) -> None:
    """Raises DataError for a class that the data set does not have; `first_key` is the key of its first class."""
    strangers = [class_id for class_id in class_ids if class_id not in classes.ids]
    if strangers:
        last_key = first_key + len(classes) - 1
        raise DataError(
            f"{path}: expected class keys in {first_key}..{last_key} ({classes.names[0]}..{classes.names[-1]}), "
            f"but got {strangers[0] - 1 + first_key}; the maps are of another data set."
        )


def choose_classes(path: Path, maps: ClassMaps | StoredMaps, request: MapRequest) -> ClassMaps | StoredMaps:
    """Only the maps of the wanted classes, ascending; DataError when the image has classes and none has a map."""
    wanted = set(maps.class_ids if request.labels is None else request.labels)
    rows = sorted((class_id, row) for row, class_id in enumerate(maps.class_ids) if class_id in wanted)
    if wanted and not rows:
        names = ", ".join(request.classes.name_of(class_id) for class_id in sorted(wanted))
        raise DataError(f"{path}: expected maps of the image's classes ({names}), but there is none of them.")
    kept, class_ids = [row for _, row in rows], tuple(class_id for class_id, _ in rows)
    if isinstance(maps, ClassMaps):
        return ClassMaps(maps.scores[kept], class_ids)
    return StoredMaps(maps.pyramid.select(kept), maps.preset)


def to_stored(path: Path, maps: ClassMaps | StoredMaps, request: MapRequest, raw: bool, preset: Preset) -> StoredMaps:
    """One level and its preset: normalised maps as they are, raw ones with `preset`.

    Whole images, not padded or cropped ones, are what these maps show: sides are never rounded up.
    Raises DataError for a map outside [0, 1] in a folder of normalised ones.
    """
    if isinstance(maps, StoredMaps):
        return maps
    if maps.is_raw and not raw:
        raise DataError(
            f"{path}: expected values in [0, 1] as in the other maps of the folder, but got "
            f"{maps.scores.min():.4g}..{maps.scores.max():.4g}."
        )
    scores = maps.scores if raw else np.clip(maps.scores, 0, 1)
    if raw and preset.relu == "each":
        scores = np.maximum(scores, 0)
    pyramid = MapPyramid(request.image_id, (scores,), maps.class_ids, request.size)
    return StoredMaps(pyramid, replace(preset, round_up=1) if raw else KEPT)


def empty_maps(request: MapRequest) -> StoredMaps:
    """The maps of an image without objects: none."""
    return StoredMaps(MapPyramid(request.image_id, (np.zeros((0, 1, 1), np.float32),), (), request.size), KEPT)
