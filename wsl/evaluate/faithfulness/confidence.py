"""Average drop and increase in confidence: what the classifier says when it sees only what the map shows.

Chattopadhay et al., Grad-CAM++, WACV 2018, section 4.1. The image is multiplied by the map ("explanation map"); Y is
the score of the class for the image, O for the product. A map that is 1 everywhere drops nothing, so the complexity
goes with them: the mean of the map (Poppi et al., Revisiting the Evaluation of Class Activation Mapping, CVPRW 2021).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError
from wsl.evaluate.faithfulness.maps import BLACK, Colour, Images, check_map, check_pair
from wsl.types import Image


def mask_image(image: Image, score_map: NDArray[np.floating], colour: Colour = BLACK) -> Images:
    """The image where the map is 1, `colour` where it is 0, mixed between: float32 (1, H, W, 3) in [0, 255].

    image: uint8 (H, W, 3). score_map: floating (H, W) in [0, 1]. Black is the paper's plain product.
    """
    check_pair(image, score_map)
    weight = score_map.astype(np.float32)[:, :, None]
    return (weight * image + (1 - weight) * np.array(colour, np.float32)).astype(np.float32)[None]


def compute_drop(before: float, after: float) -> float:
    """max(0, Y - O) / Y in [0, 1]: the share of the score that is lost; 0 where there was none to lose."""
    _check_scores(before, after)
    return max(0.0, before - after) / before if before > 0 else 0.0


def compute_increase(before: float, after: float) -> float:
    """1.0 when the score rises (O > Y), else 0.0."""
    _check_scores(before, after)
    return float(after > before)


def compute_complexity(score_map: NDArray[np.floating]) -> float:
    """Mean of the map in [0, 1]: how much of the image it shows."""
    check_map(score_map)
    return float(score_map.mean(dtype=np.float64))


def _check_scores(before: float, after: float) -> None:
    for value in (before, after):
        if not (np.isfinite(value) and value >= 0):
            raise DataError(f"class score: expected a finite value of at least 0 (a probability), but got {value}.")
