"""Predicted masks on disk: JSON with COCO's run lengths or polygons.

One object per image, {"image_id": str, "size": [height, width], "masks": [{"segmentation": RLE or polygons,
"class_id": int, "class": str, "score": float}]}: each in a file <image_id>.json of its own, or all in one file as a
JSON list. `class` may be missing; without `score` it is 1. A COCO results list (image_id, category_id, segmentation,
score) is read as well; its category_id is then the class_id, and polygons need a `size` in each entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wsl.data.rle import decode_mask, encode_mask, segmentation_to_mask
from wsl.errors import DataError
from wsl.evaluate.files.box_files import read_class_id, read_image_id, read_score, read_size
from wsl.files import read_json
from wsl.types import BACKGROUND, MAX_CLASSES, ClassSet, LabelMap

Json = dict[str, Any]
ImageName = str | int


@dataclass(frozen=True)
class PredictedMask:
    """One mask: `rle` is COCO's compressed form, so that many fit into memory."""

    class_id: int
    score: float
    rle: Json


@dataclass(frozen=True)
class ImageMasks:
    """The masks of one image of `size` (height, width), in the order of the file; `image_id` as the file says, None
    where it does not."""

    size: tuple[int, int]
    masks: tuple[PredictedMask, ...]
    image_id: ImageName | None = None


def read_mask_file(path: Path, classes: ClassSet | None = None) -> ImageMasks:
    """The masks of one image; DataError naming the file and the mask when its form is wrong."""
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("masks"), list):
        raise DataError(f"{path}: expected a JSON object with the list 'masks'.")
    return replace(_read_image(content, str(path), classes), image_id=read_image_id(content, str(path)))


def read_mask_list(
    path: Path, classes: ClassSet | None = None, *, refuse_numbers: bool = False
) -> dict[ImageName, ImageMasks]:
    """The masks of many images from one file, by what the file calls the image (a string, or a number as COCO's).

    DataError when an image appears twice (in a results list: with two sizes) or an entry is of neither form; with
    `refuse_numbers`, for data sets in COCO's form, also when a results list has COCO's own ids.
    """
    content = read_json(path)
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise DataError(f"{path}: expected a JSON list of objects with 'masks', or a COCO results list.")
    if any("masks" in entry for entry in content):
        return _read_images(content, path, classes)
    if refuse_numbers:
        _refuse_numbers(content, path)
    return _read_results(content, path, classes)


def draw_label_map(image: ImageMasks) -> LabelMap:
    """The masks as one label map, uint8 (H, W), 0 where there is none.

    Where masks overlap, the one with the highest score is on top, the first of the file on equal scores. DataError for
    a class id above 254.
    """
    label_map = np.full(image.size, BACKGROUND, np.uint8)
    for _, mask in sorted(enumerate(image.masks), key=lambda entry: (entry[1].score, -entry[0])):
        if mask.class_id > MAX_CLASSES:
            raise DataError(f"label map: expected class ids up to {MAX_CLASSES}, but a mask has {mask.class_id}.")
        label_map[decode_mask(mask.rle)] = mask.class_id
    return label_map


def build_mask_results(images: Mapping[str, ImageMasks], numbers: Mapping[str, int]) -> list[Json]:
    """COCO results of the masks of each image_id; `numbers` as from `build_coco_ground_truth`."""
    return [
        {
            "image_id": numbers[image_id],
            "category_id": mask.class_id,
            "segmentation": mask.rle,
            "score": mask.score,
        }
        for image_id, image in images.items()
        for mask in image.masks
    ]


def _read_images(content: Sequence[Json], path: Path, classes: ClassSet | None) -> dict[ImageName, ImageMasks]:
    images: dict[ImageName, ImageMasks] = {}
    for number, entry in enumerate(content, start=1):
        where = f"{path}: image {number}"
        if not isinstance(entry.get("masks"), list):
            raise DataError(f"{where}: expected a JSON object with the list 'masks'.")
        name = _read_name(entry, where)
        if name in images:
            raise DataError(f"{where}: image_id {name!r} was there before; each image may appear once.")
        images[name] = _read_image(entry, where, classes)
    return images


def _read_results(content: Iterable[Json], path: Path, classes: ClassSet | None) -> dict[ImageName, ImageMasks]:
    sizes: dict[ImageName, tuple[int, int]] = {}
    masks: dict[ImageName, list[PredictedMask]] = {}
    for number, entry in enumerate(content, start=1):
        where = f"{path}: result {number}"
        name, size = _read_name(entry, where), _find_size(entry, where)
        if sizes.setdefault(name, size) != size:
            raise DataError(f"{where}: its size {size} is not the {sizes[name]} of other masks of image {name!r}.")
        entry = {"class_id": entry.get("category_id"), **entry}
        masks.setdefault(name, []).append(_read_mask(entry, size, where, classes))
    return {name: ImageMasks(sizes[name], tuple(every)) for name, every in masks.items()}


def _refuse_numbers(content: Iterable[Json], path: Path) -> None:
    """Raises DataError for COCO's own ids: its categories are numbered otherwise than our classes."""
    for number, entry in enumerate(content, start=1):
        if isinstance(entry.get("image_id"), int):
            raise DataError(
                f"{path}: result {number}: these are COCO's own image and category ids; give the annotations JSON file "
                "as ground truth. --kind masks, where it was given, must be --kind coco."
            )


def _read_image(content: Json, where: str, classes: ClassSet | None) -> ImageMasks:
    size = read_size(content.get("size"), where)
    entries = enumerate(content["masks"], start=1)
    return ImageMasks(size, tuple(_read_mask(entry, size, f"{where}: mask {row}", classes) for row, entry in entries))


def _read_mask(entry: Any, size: tuple[int, int], where: str, classes: ClassSet | None) -> PredictedMask:
    if not isinstance(entry, dict):
        raise DataError(f"{where}: expected a JSON object, but got {type(entry).__name__}.")
    class_id, score = read_class_id(entry, where, classes), read_score(entry, where)
    try:
        return PredictedMask(class_id, score, encode_mask(segmentation_to_mask(entry.get("segmentation"), size)))
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def _read_name(entry: Json, where: str) -> ImageName:
    name = entry.get("image_id")
    if isinstance(name, (str, int)) and not isinstance(name, bool):
        return name
    raise DataError(f"{where}: expected 'image_id' as a string or a whole number, but got {name!r:.80}.")


def _find_size(entry: Json, where: str) -> tuple[int, int]:
    """From the entry itself or its run lengths."""
    segmentation = entry.get("segmentation")
    inner = segmentation.get("size") if isinstance(segmentation, dict) else None
    return read_size(entry.get("size", inner), where)
