"""The ground-truth label map of a sample, whatever form it is stored in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from wsl.data.label_maps import read_label_map, read_mask
from wsl.data.rle import segmentation_to_mask
from wsl.errors import DataError
from wsl.types import BACKGROUND, IGNORE, Instance, LabelMap, Mask, MaskSource, Sample


def read_ground_truth(sample: Sample, size: tuple[int, int], num_classes: int) -> LabelMap | None:
    """Reads or draws the label map of one sample.

    Instances are drawn from the largest to the smallest, so that small ones stay visible where they overlap.
    Crowds, and instances that have a box but no mask, are 255 (not scored) and lie below all others.

    Args:
        sample: its `mask` says where the ground truth is.
        size: (height, width) of the image; nothing is resized.
        num_classes: N, the number of foreground classes.

    Returns:
        uint8 (H, W) with 0 background, 1..N classes, 255 ignore; None when the sample has no ground truth.

    Raises:
        DataError: a file cannot be read, has another size, or holds values outside 0..N and 255.
    """
    if sample.mask is None:
        return None
    if sample.mask.kind not in _DRAWERS:
        raise DataError(f"{sample.image_id}: unknown kind of ground truth '{sample.mask.kind}'.")
    label_map = _DRAWERS[sample.mask.kind](sample, sample.mask, size)
    source = sample.mask.path or sample.image_path
    _check_size(source, label_map, size)
    _check_values(source, label_map, num_classes)
    return label_map


def _read_stored(sample: Sample, mask: MaskSource, size: tuple[int, int]) -> LabelMap:
    path = _path_of(sample, mask)
    label_map = read_label_map(path)
    if mask.value_map is None:
        return label_map
    present = np.flatnonzero(np.bincount(label_map.ravel(), minlength=256))
    unmapped = [int(value) for value in present if int(value) not in mask.value_map]
    if unmapped:
        raise DataError(f"{path}: label values {unmapped} belong to no class of the class list.")
    table = np.zeros(256, np.uint8)
    for value in present:
        table[value] = mask.value_map[int(value)]
    return table[label_map]


def _read_binary(sample: Sample, mask: MaskSource, size: tuple[int, int]) -> LabelMap:
    return np.where(read_mask(_path_of(sample, mask)), np.uint8(mask.class_id), np.uint8(BACKGROUND))


def _draw_background(sample: Sample, mask: MaskSource, size: tuple[int, int]) -> LabelMap:
    return np.zeros(size, np.uint8)


def _draw_instances(sample: Sample, mask: MaskSource, size: tuple[int, int]) -> LabelMap:
    label_map = np.zeros(size, np.uint8)
    drawn: list[tuple[int, int, Mask]] = []
    for instance in sample.instances or ():
        area = _draw_instance(sample, instance, size)
        if instance.crowd or instance.segmentation is None:
            label_map[area] = IGNORE
        else:
            drawn.append((int(area.sum()), instance.class_id, area))
    for _, class_id, area in sorted(drawn, key=lambda entry: -entry[0]):
        label_map[area] = class_id
    return label_map


def _draw_instance(sample: Sample, instance: Instance, size: tuple[int, int]) -> Mask:
    if instance.segmentation is None:
        return _draw_box(instance, size)
    try:
        return segmentation_to_mask(instance.segmentation, size)
    except DataError as error:
        raise DataError(f"{sample.image_path}: the annotation of an instance is broken: {error}") from None


def _draw_box(instance: Instance, size: tuple[int, int]) -> Mask:
    area = np.zeros(size, np.bool_)
    x1, y1, x2, y2 = (max(0, round(side)) for side in instance.box.xyxy)
    area[y1:y2, x1:x2] = True
    return area


def _path_of(sample: Sample, mask: MaskSource) -> Path:
    if mask.path is None:
        raise DataError(f"{sample.image_id}: ground truth of kind '{mask.kind}' needs a file, but none is given.")
    return mask.path


def _check_size(source: Path, label_map: LabelMap, size: tuple[int, int]) -> None:
    if label_map.shape != tuple(size):
        raise DataError(
            f"{source}: the mask is {label_map.shape[0]}x{label_map.shape[1]} but the image is {size[0]}x{size[1]} "
            "(height x width): sizes must be equal, nothing is resized."
        )


def _check_values(source: Path, label_map: LabelMap, num_classes: int) -> None:
    counts = np.bincount(label_map.ravel(), minlength=256)
    counts[: num_classes + 1] = 0
    counts[IGNORE] = 0
    unknown = [int(value) for value in np.flatnonzero(counts)]
    if unknown:
        raise DataError(f"{source}: label values {unknown} are outside 0..{num_classes} (classes) and 255 (ignore).")


_DRAWERS: dict[str, Callable[[Sample, MaskSource, tuple[int, int]], LabelMap]] = {
    "label_map": _read_stored,
    "binary": _read_binary,
    "instances": _draw_instances,
    "background": _draw_background,
}
