"""One class map as a picture: its colours alone, or laid over the image, pixel for pixel in the image's size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_image, check_range, check_same_size, check_scores
from wsl.report.colours import colour_scores
from wsl.types import Image

Map = NDArray[np.float32]
Span = tuple[float, float]


def find_span(score_map: Map) -> Span:
    """(lowest, highest) value that the colours stand for: 0 and 1, or the map's own extremes where it leaves [0, 1].

    Maps of most presets lie in [0, 1], and equal colours then mean equal scores in all pictures.
    """
    check_scores(score_map[None], "score map")
    low, high = float(score_map.min()), float(score_map.max())
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def draw_heat(score_map: Map, colour: str = "turbo", span: Span | None = None) -> Image:
    """(H, W) scores -> RGB uint8 (H, W, 3): the colour map from `span[0]` to `span[1]`, `find_span` when not given."""
    low, high = find_span(score_map) if span is None else span
    width = high - low
    share = (score_map.astype(np.float32) - low) / width if width > 0 else np.zeros_like(score_map, np.float32)
    return colour_scores(share, colour)


def draw_heat_overlay(
    image: Image, score_map: Map, colour: str = "turbo", alpha: float = 0.5, span: Span | None = None
) -> Image:
    """image * (1 - alpha) + heat * alpha, RGB uint8 (H, W, 3).

    image: uint8 (H, W, 3). score_map: (H, W), the same size, or DataError. alpha: in [0, 1].
    """
    check_image(image)
    check_range(alpha, 0, 1, "alpha")
    check_same_size(image, score_map, "image", "score map")
    heat = draw_heat(score_map, colour, span)
    return np.rint(image * np.float32(1 - alpha) + heat * np.float32(alpha)).astype(np.uint8)
