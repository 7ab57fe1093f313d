"""Scores, label maps and boxes drawn over an image, and images side by side with titles.

Every drawing is made at display size: the image is first brought to `side` pixels on its longer side (small images are
enlarged, large ones reduced), so that lines and names are equally legible on a 32-pixel and on a 4000-pixel image.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from wsl.checks import check_image, check_label_map, check_range, check_same_size, check_scores
from wsl.errors import DataError
from wsl.files import write_bytes
from wsl.report.colours import class_colour, class_colour_table, colour_scores
from wsl.report.lettering import draw_tag
from wsl.types import BACKGROUND, IGNORE, Box, ClassSet, Image, LabelMap, Scores

DISPLAY_SIDE = 256
HATCH_PERIOD = 8  # display pixels from one stripe of "not sure" to the next
DIMMED = 0.55  # brightness left to the image under class scores


def draw_scores(
    image: Image,
    score_map: NDArray[np.floating],
    colormap: str = "turbo",
    alpha: float = 0.5,
    side: int = DISPLAY_SIDE,
) -> Image:
    """One class's scores (h, w) in [0, 1], of any resolution, as a colour map over the image.

    alpha: share of the colour map, 0 the image alone, 1 the colour map alone.
    """
    _check_drawing(image, alpha)
    check_scores(score_map[None], "score map")
    shown = resize_for_display(image, side)
    colours = colour_scores(_resize_scores(score_map, shown), colormap)
    return _blend(shown, colours, np.full(shown.shape[:2], alpha, np.float32))


def draw_class_scores(image: Image, scores: Scores, class_ids: Sequence[int], side: int = DISPLAY_SIDE) -> Image:
    """Scores (K, h, w) of several classes at once over a dimmed grey image.

    Each pixel has the colour of its best class, as strong as that class's score. K = 0 shows the dimmed image.
    """
    check_image(image)
    check_scores(scores)
    grey = cv2.cvtColor(resize_for_display(image, side), cv2.COLOR_RGB2GRAY)
    shown = np.repeat((grey * DIMMED).astype(np.uint8)[..., None], 3, axis=2)
    if not len(class_ids):
        return shown
    planes = np.stack([_resize_scores(plane, shown) for plane in scores])
    best = planes.argmax(0)
    colours = np.array([class_colour(class_id) for class_id in class_ids], np.uint8)[best]
    return _blend(shown, colours, np.clip(planes.max(0), 0, 1) * 0.9)


def draw_label_map(
    image: Image, label_map: LabelMap, alpha: float = 0.5, outline: bool = True, side: int = DISPLAY_SIDE
) -> Image:
    """Classes as tints with an outline in full colour; 255 ("not sure") as grey hatching; background untouched."""
    _check_drawing(image, alpha)
    check_label_map(label_map)
    check_same_size(image, label_map, "image", "label map")
    shown = resize_for_display(image, side)
    labels = cv2.resize(label_map, shown.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    weights = np.where(labels == BACKGROUND, 0.0, alpha).astype(np.float32)
    colours = class_colour_table()[labels]
    unsure = labels == IGNORE
    colours[unsure] = _hatching(labels.shape)[unsure]
    drawn = _blend(shown, colours, weights)
    if outline:
        edge = _edges_of(labels) & (labels != BACKGROUND) & ~unsure
        drawn[edge] = class_colour_table()[labels][edge]
    return drawn


def draw_boxes(image: Image, boxes: Sequence[Box], classes: ClassSet, side: int = DISPLAY_SIDE) -> Image:
    """Boxes in their class's colour, each with a tag "name" (and the score in percent where it is below 1)."""
    check_image(image)
    drawn = resize_for_display(image, side)
    factor = drawn.shape[1] / image.shape[1], drawn.shape[0] / image.shape[0]
    corners = [_corners(box, factor, drawn) for box in boxes]
    for box, (first, last) in zip(boxes, corners, strict=True):
        cv2.rectangle(drawn, first, last, (0, 0, 0), 4)
        cv2.rectangle(drawn, first, last, class_colour(box.class_id), 2)
    for box, (first, _) in zip(boxes, corners, strict=True):
        percent = f" {100 * box.score:.0f}" if box.score < 1 else ""
        drawn = draw_tag(drawn, first, classes.name_of(box.class_id) + percent, class_colour(box.class_id))
    return drawn


def write_png(path: Path, image: Image) -> None:
    """Writes RGB uint8 (H, W, 3) as PNG, atomically; the same image gives the same bytes."""
    check_image(image, str(path))
    stream = BytesIO()
    PillowImage.fromarray(image).save(stream, "PNG", optimize=False)
    write_bytes(path, stream.getvalue())


def resize_for_display(image: Image, side: int) -> Image:
    """A copy of the image whose longer side has `side` pixels; the shorter one has at least 1."""
    if side < 16:
        raise DataError(f"side: expected at least 16 pixels to draw on, but got {side}.")
    height, width = image.shape[:2]
    factor = side / max(height, width)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)


def _check_drawing(image: Image, alpha: float) -> None:
    check_image(image)
    check_range(alpha, 0, 1, "alpha")


def _resize_scores(score_map: NDArray[np.floating], shown: Image) -> NDArray[np.float32]:
    return cv2.resize(score_map.astype(np.float32), shown.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _blend(image: Image, colours: NDArray[np.uint8], weights: NDArray[np.float32]) -> Image:
    """image * (1 - weights) + colours * weights, weights (H, W) in [0, 1]."""
    share = weights[..., None].astype(np.float32)
    return np.rint(image * (1 - share) + colours * share).astype(np.uint8)


def _hatching(size: tuple[int, ...]) -> NDArray[np.uint8]:
    """Slanted light stripes on dark grey, (H, W, 3)."""
    rows, columns = np.indices(size)
    stripe = (rows + columns) % HATCH_PERIOD < HATCH_PERIOD // 3
    return np.repeat(np.where(stripe, 245, 90).astype(np.uint8)[..., None], 3, axis=2)


def _edges_of(labels: LabelMap) -> NDArray[np.bool_]:
    """Pixels within 2 of a pixel with another label: the outline's own side of each border."""
    square = np.ones((5, 5), np.uint8)
    return cv2.dilate(labels, square) != cv2.erode(labels, square)


def _corners(box: Box, factor: tuple[float, float], drawn: Image) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last pixel of the half-open box at display size, moved inside the image."""
    x1, y1, x2, y2 = box.xyxy
    height, width = drawn.shape[:2]
    first = _inside(round(x1 * factor[0]), width), _inside(round(y1 * factor[1]), height)
    last = _inside(round(x2 * factor[0]) - 1, width), _inside(round(y2 * factor[1]) - 1, height)
    return first, last


def _inside(value: int, length: int) -> int:
    return min(max(value, 0), length - 1)
