"""The colours of classes in pictures: bright and far apart, so that they show on dark and on light images."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, suggest
from wsl.types import BACKGROUND, IGNORE

Colour = tuple[int, int, int]

_BRIGHT: tuple[Colour, ...] = (
    (230, 57, 70),
    (42, 157, 255),
    (255, 190, 11),
    (56, 196, 96),
    (176, 80, 240),
    (255, 122, 30),
    (20, 205, 200),
    (245, 105, 180),
    (160, 205, 40),
    (95, 90, 245),
    (190, 120, 70),
    (125, 150, 175),
    (255, 228, 130),
    (150, 20, 95),
    (150, 220, 255),
    (25, 115, 60),
    (255, 165, 150),
    (215, 180, 255),
    (115, 60, 15),
    (185, 255, 190),
)
GOLDEN_TURN = 0.618034  # successive hues never come close to a recent one

_COLORMAPS: dict[str, int] = {
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "inferno": cv2.COLORMAP_INFERNO,
    "jet": cv2.COLORMAP_JET,
}


def class_colour(class_id: int) -> Colour:
    """RGB of a class_id 1..254: the first twenty chosen by hand, the others by turning the hue."""
    if class_id <= len(_BRIGHT):
        return _BRIGHT[class_id - 1]
    turn = class_id - len(_BRIGHT)
    value, saturation = (1.0, 0.8, 0.65)[turn % 3], (0.6, 0.85)[turn % 2]
    red, green, blue = colorsys.hsv_to_rgb((turn * GOLDEN_TURN) % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def class_colour_table() -> NDArray[np.uint8]:
    """uint8 (256, 3): row i is the RGB of class_id i; black for background, grey for 255."""
    table = np.zeros((256, 3), np.uint8)
    for class_id in range(BACKGROUND + 1, IGNORE):
        table[class_id] = class_colour(class_id)
    table[IGNORE] = 128
    return table


def list_colormaps() -> list[str]:
    """Names of the colour maps for scores, sorted."""
    return sorted(_COLORMAPS)


def colour_scores(score_map: NDArray[np.floating], colormap: str) -> NDArray[np.uint8]:
    """(H, W) scores in [0, 1], cut off outside, -> RGB uint8 (H, W, 3)."""
    if colormap not in _COLORMAPS:
        raise ConfigError(f"Unknown colormap '{colormap}'.{suggest(colormap, _COLORMAPS)}")
    levels = np.rint(np.clip(score_map, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, _COLORMAPS[colormap])[..., ::-1])
