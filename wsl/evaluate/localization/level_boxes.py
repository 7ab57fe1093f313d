"""The best IoU that the boxes of a map reach at each level: what MaxBoxAcc needs of one image and class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.compiled import load_compiled
from wsl.evaluate.localization.boxes import compute_box_iou
from wsl.evaluate.localization.levels import LEVELS, iterate_levels
from wsl.evaluate.segmentation.confusion import check_policy

BOX_RULES = ("wsolevaluation", "half_open")


def find_best_overlaps(
    image: NDArray[np.uint8], truth: NDArray[np.float64], levels: ArrayLike, box_rule: str = "wsolevaluation"
) -> NDArray[np.float64]:
    """Best IoU of the boxes of {image > level} with one of the true boxes, float64 (2, 256), column = level.

    image uint8 (H, W); truth float64 (G, 4) xyxy in pixels; levels integers in 0..254, only these are computed. Row 0
    is of the box of the largest contour, row 1 the best of all contours; 0 at other levels and where no pixel is
    foreground. box_rule "wsolevaluation" clips the map's boxes at W - 1 and H - 1 and counts both ends in the IoU
    (+1), "half_open" does neither. The compiled form, where numba is installed, gives the same numbers.
    """
    check_policy(box_rule, BOX_RULES, "box_rule")
    best = np.zeros((2, LEVELS))
    wanted = np.unique(np.asarray(levels, np.int64))
    wanted = wanted[wanted < image.max()]
    if not len(wanted):
        return best
    clip = box_rule == "wsolevaluation"
    compiled = load_compiled("wsl.evaluate.localization.level_boxes_compiled")
    loop = _loop_over_levels if compiled is None else compiled.find_best_overlaps
    corners = np.ascontiguousarray(truth, np.float64).reshape(-1, 4)
    best[:, wanted] = loop(np.ascontiguousarray(image), wanted, corners, clip, 1.0 if clip else 0.0)
    return best


def _loop_over_levels(
    image: NDArray[np.uint8], levels: NDArray[np.int64], truth: NDArray[np.float64], clip: bool, extra: float
) -> NDArray[np.float64]:
    """float64 (2, L) for ascending levels below the image's maximum, with the contours of OpenCV."""
    above = image.size - np.cumsum(np.bincount(image.ravel(), minlength=LEVELS))[levels]
    is_new = np.diff(above, prepend=-1) != 0  # a level without pixels between it and the one before has its boxes
    found = list(iterate_levels(image, levels[is_new]))
    starts = np.cumsum([0] + [len(one.boxes) for one in found[:-1]])
    overlap = _overlaps(np.concatenate([one.boxes for one in found]), truth, image.shape, clip, extra)
    largest = overlap[starts + [one.largest for one in found]]
    return np.stack([largest, np.maximum.reduceat(overlap, starts)])[:, np.cumsum(is_new) - 1]


def _overlaps(
    boxes: NDArray[np.float64], truth: NDArray[np.float64], size: tuple[int, ...], clip: bool, extra: float
) -> NDArray[np.float64]:
    """IoU of each box with the nearest true one, float64 (M,); one true box at a time, for noise makes M large."""
    if clip:
        boxes[:, 2:] = np.minimum(boxes[:, 2:], [size[1] - 1, size[0] - 1])
    overlap = np.zeros(len(boxes))
    for true in truth:
        np.maximum(overlap, compute_box_iou(boxes, true[None], inclusive=extra > 0)[:, 0], out=overlap)
    return overlap
