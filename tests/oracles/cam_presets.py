"""What published programs do with raw class maps, step by step in their own order, one class at a time.

levels: per scale the signed maps (h, w) of the image and of its mirror image, as the network gives them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.oracles.cam_fusion import interpolate, irn_high_resolution, irn_level

Array = NDArray[Any]
Levels = Sequence[tuple[Array, Array]]


def irn(levels: Levels, size: tuple[int, int]) -> Array:
    """make_cam.py, the high-resolution map."""
    return irn_high_resolution([irn_level(straight, mirrored) for straight, mirrored in levels], size)


def psa(levels: Levels, size: tuple[int, int]) -> Array:
    """infer_cls.py: every map clipped, resized to the image, turned back, added; divided by maximum + 1e-5."""
    total = np.zeros(size)
    for straight, mirrored in levels:
        total += interpolate(np.maximum(straight, 0), size, align_corners=False)
        total += interpolate(np.maximum(mirrored, 0), size, align_corners=False)[:, ::-1]
    return total / (total.max() + 1e-5)


def seam(levels: Levels, size: tuple[int, int]) -> Array:
    """infer_SEAM.py: signed maps resized and added; the sum clipped; what is near the minimum set to 0; stretched."""
    total = np.zeros(size)
    for straight, mirrored in levels:
        total += interpolate(straight, size, align_corners=False)
        total += interpolate(mirrored, size, align_corners=False)[:, ::-1]
    total[total < 0] = 0
    low, high = total.min(), total.max()
    total[total < low + 1e-5] = 0
    return (total - low - 1e-5) / (high - low + 1e-5)


def clip_es(levels: Levels, size: tuple[int, int]) -> Array:
    """generate_cams_voc12.py: one scale, no mirror image; clipped, stretched at the network's resolution, resized."""
    ((straight, _),) = levels
    return interpolate(_stretch(np.maximum(straight, 0), 1e-7), size, align_corners=False)


def grad_cam(levels: Levels, size: tuple[int, int]) -> Array:
    """pytorch-grad-cam, base_cam.py: clipped, stretched, resized, stretched again."""
    ((straight, _),) = levels
    return _stretch(interpolate(_stretch(np.maximum(straight, 0), 1e-7), size, align_corners=False), 1e-7)


def torchcam(levels: Levels, size: tuple[int, int]) -> Array:
    """torch-cam, core.py: clipped and stretched at the network's resolution; its fusion resizes bilinearly."""
    ((straight, _),) = levels
    return interpolate(_stretch(np.maximum(straight, 0), 1e-8), size, align_corners=False)


def wsolevaluation(levels: Levels, size: tuple[int, int]) -> Array:
    """inference.py: signed map, bicubic to the image, stretched there; a constant map becomes zeros."""
    ((straight, _),) = levels
    resized = interpolate_cubic(straight, size)
    span = resized.max() - resized.min()
    return np.zeros(size) if span == 0 else (resized - resized.min()) / span


def paper(levels: Levels, size: tuple[int, int]) -> Array:
    """Grad-CAM, section 3: ReLU of the weighted sum, resized, divided by its maximum for display."""
    ((straight, _),) = levels
    resized = np.maximum(interpolate(straight, size, align_corners=False), 0)
    return resized / resized.max()


ORACLES: dict[str, Callable[[Levels, tuple[int, int]], Array]] = {
    "irn": irn, "psa": psa, "seam": seam, "clip_es": clip_es, "grad_cam": grad_cam, "torchcam": torchcam,
    "wsolevaluation": wsolevaluation, "paper": paper,
}  # fmt: skip
MULTI_SCALE = ("irn", "psa", "seam")


def _stretch(raw: Array, epsilon: float) -> Array:
    lowered = raw - raw.min()
    return lowered / (epsilon + lowered.max())


def interpolate_cubic(raw: Array, size: tuple[int, int]) -> Array:
    """Cubic convolution with a = -0.75 on half-pixel centres, cells beyond the border repeated."""
    found = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            for row, down in _cubic_taps(y, raw.shape[0], size[0]):
                for column, across in _cubic_taps(x, raw.shape[1], size[1]):
                    found[y, x] += down * across * raw[row, column]
    return found


def _cubic_taps(index: int, cells: int, pixels: int) -> list[tuple[int, float]]:
    position = (index + 0.5) * cells / pixels - 0.5
    first = math.floor(position) - 1
    return [(min(max(first + k, 0), cells - 1), _cubic_weight(abs(position - first - k))) for k in range(4)]


def _cubic_weight(distance: float) -> float:
    a = -0.75
    if distance <= 1:
        return (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    return a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a if distance < 2 else 0.0
