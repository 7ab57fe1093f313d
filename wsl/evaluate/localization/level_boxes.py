"""The best IoU that the boxes of a map reach at each level: what MaxBoxAcc needs of one image and class.

The boxes are those of OpenCV's contours, but no level is searched for contours to get them: an outer contour has the
box of an 8-connected component, the contour of a hole that of a 4-connected component of the background, one pixel
wider. Components of all levels come from one tree.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.evaluate.localization.boxes import compute_box_iou
from wsl.evaluate.localization.component_boxes import find_components
from wsl.evaluate.localization.largest_contour import choose_largest
from wsl.evaluate.localization.levels import LEVELS
from wsl.evaluate.localization.neighbourhoods import encode_neighbours
from wsl.evaluate.segmentation.confusion import check_policy

BOX_RULES = ("wsolevaluation", "half_open")
_BORDER = np.array([-1, -1, 1, 1])


def find_best_overlaps(
    image: NDArray[np.uint8], truth: NDArray[np.float64], levels: ArrayLike, box_rule: str = "wsolevaluation"
) -> NDArray[np.float64]:
    """Best IoU of the boxes of {image > level} with one of the true boxes, float64 (2, 256), column = level.

    image uint8 (H, W); truth float64 (G, 4) xyxy in pixels; levels integers in 0..254, only these are computed. Row 0
    is of the box of the largest contour, row 1 the best of all contours; 0 at other levels and where no pixel is
    foreground. box_rule "wsolevaluation" clips the map's boxes at W - 1 and H - 1 and counts both ends in the IoU
    (+1), "half_open" does neither. With numba installed it is quicker, and the numbers are the same.
    """
    check_policy(box_rule, BOX_RULES, "box_rule")
    best = np.zeros((2, LEVELS))
    image = np.ascontiguousarray(image)
    wanted = np.unique(np.asarray(levels, np.int64))
    wanted = wanted[wanted < image.max()]
    if not len(wanted):
        return best
    is_new = _find_new(image, wanted)
    ranks = cv2.LUT(image, np.searchsorted(wanted[is_new], np.arange(LEVELS)).astype(np.uint8))
    found = _find_by_rank(np.asarray(ranks), np.asarray(truth, np.float64), box_rule == "wsolevaluation")
    best[:, wanted] = found[:, np.cumsum(is_new) - 1]
    return best


def _find_new(image: NDArray[np.uint8], levels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a level has other foreground than the wanted one before it."""
    counts = np.cumsum(cv2.calcHist([image], [0], None, [LEVELS], [0, LEVELS]) > 0)[levels]
    is_new = np.ones(len(levels), np.bool_)
    np.not_equal(counts[1:], counts[:-1], out=is_new[1:])
    return is_new


def _find_by_rank(ranks: NDArray[np.uint8], truth: NDArray[np.float64], clip: bool) -> NDArray[np.float64]:
    """float64 (2, L) for {rank > k}, k = 0..L - 1: a pixel has rank r when r of the levels lie below it."""
    count = int(ranks.max())
    framed = np.zeros((ranks.shape[0] + 2, ranks.shape[1] + 2), np.uint8)
    framed[1:-1, 1:-1] = ranks
    codes = encode_neighbours(ranks)
    components = find_components(framed, codes, diagonal=True)
    holes = find_components(count - framed, ~codes, diagonal=False)
    boxes = np.concatenate([components.boxes, holes.boxes + _BORDER]).astype(np.float64)
    overlap = _overlaps(boxes, truth, ranks.shape, clip)
    best = np.zeros((2, count))
    best[0] = overlap[choose_largest(framed, components, count)]
    np.maximum.at(best[1], np.concatenate([components.levels, count - 1 - holes.levels]), overlap)
    return best


def _overlaps(
    boxes: NDArray[np.float64], truth: NDArray[np.float64], size: tuple[int, ...], clip: bool
) -> NDArray[np.float64]:
    """IoU of each box with the nearest true one, float64 (M,); one true box at a time, for noise makes M large."""
    if clip:
        boxes[:, 2:] = np.minimum(boxes[:, 2:], [size[1] - 1, size[0] - 1])
    overlap = np.zeros(len(boxes))
    for true in truth.reshape(-1, 4):
        np.maximum(overlap, compute_box_iou(boxes, true[None], inclusive=clip)[:, 0], out=overlap)
    return overlap
