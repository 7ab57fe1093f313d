"""Which pixels of an image are scored, for measures that need their places and not only their numbers."""

from __future__ import annotations

import numpy as np

from wsl.evaluate.segmentation.confusion import Counts, count_pairs, reduce_pairs
from wsl.types import BACKGROUND, IGNORE, LabelMap, Mask


def find_scored_pixels(
    ground_truth: LabelMap,
    prediction: LabelMap,
    num_classes: int,
    predicted_ignore: str,
    name: str = "",
    pairs: Counts | None = None,
) -> tuple[LabelMap, Mask]:
    """(prediction with the policy applied, bool (H, W) of the scored pixels) for two label maps uint8 (H, W).

    `pairs`: the table of `count_pairs` of the two, where it is known already; None = it is counted.

    The same rules and the same DataErrors as `reduce_pairs`: ground truth 255 is not scored; a predicted 255 becomes
    class 0 (`background`), is not scored (`exclude`) or is refused where it would be (`error`).
    """
    table = count_pairs(ground_truth, prediction, name) if pairs is None else pairs
    reduce_pairs(table, num_classes, predicted_ignore, name)
    scored: Mask = ground_truth != IGNORE
    unsure = prediction == IGNORE
    if predicted_ignore == "exclude":
        return prediction, scored & ~unsure
    return np.where(unsure, np.uint8(BACKGROUND), prediction), scored
