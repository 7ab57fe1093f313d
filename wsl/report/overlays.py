"""One sample of a run from the image to the mask, as a row of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsl.checks import check_image
from wsl.errors import DataError
from wsl.report.colours import Colour, class_colour
from wsl.report.overlay import DISPLAY_SIDE, draw_boxes, draw_class_scores, draw_label_map, resize_for_display
from wsl.report.panel import draw_panel
from wsl.types import BACKGROUND, IGNORE, Box, ClassSet, Image, LabelMap, ScoreMaps

UNSURE_GREY: Colour = (168, 168, 168)


def draw_sample_panel(
    image: Image,
    score_maps: ScoreMaps | None,
    boxes: Sequence[Box] | None,
    seeds: LabelMap | None,
    refined: LabelMap | None,
    ground_truth: LabelMap | None,
    classes: ClassSet,
    side: int = DISPLAY_SIDE,
) -> Image:
    """Columns image | scores | boxes | seeds | refined | ground truth, without those that are None; legend below.

    image: uint8 (H, W, 3); label maps: uint8 (H, W). side: pixels of a picture's longer side. The legend names the
    classes that occur in any column.
    """
    check_image(image)
    cells = [("image", resize_for_display(image, side))]
    if score_maps is not None:
        _check_size(image, score_maps)
        cells.append(("scores", draw_class_scores(image, score_maps.scores, score_maps.class_ids, side)))
    if boxes is not None:
        cells.append(("boxes", draw_boxes(image, boxes, classes, side)))
    label_maps = {"seeds": seeds, "refined": refined, "ground truth": ground_truth}
    given = {title: label_map for title, label_map in label_maps.items() if label_map is not None}
    cells += [(title, draw_label_map(image, label_map, alpha=0.6, side=side)) for title, label_map in given.items()]
    ids = set(score_maps.class_ids if score_maps else ()) | {box.class_id for box in boxes or ()}
    ids |= {int(value) for label_map in given.values() for value in np.unique(label_map)}
    return draw_panel(cells, _legend(ids, classes))


def _check_size(image: Image, score_maps: ScoreMaps) -> None:
    if tuple(score_maps.size) != image.shape[:2]:
        raise DataError(
            f"{score_maps.image_id}: the score maps belong to an image of {score_maps.size[0]}x{score_maps.size[1]}, "
            f"but the image is {image.shape[0]}x{image.shape[1]} (height x width)."
        )


def _legend(ids: set[int], classes: ClassSet) -> list[tuple[str, Colour]]:
    """Names and colours of the foreground classes in `ids`, then "not sure" when 255 is among them."""
    named = [(classes.name_of(i), class_colour(i)) for i in sorted(ids - {BACKGROUND, IGNORE})]
    return [*named, ("not sure", UNSURE_GREY)] if IGNORE in ids else named
