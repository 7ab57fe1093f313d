"""Raw class maps at the network's resolution, and their fusion into score maps in the image's own pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.cam.preset import Preset
from wsl.types import ScoreMaps, Scores


@dataclass(frozen=True)
class MapPyramid:
    """One image's raw maps: `levels[s]` is float32 (K, h_s, w_s), flips already fused, for scale s.

    Levels are far smaller than a full-size map and regenerate it exactly, so they are what is stored.
    `size` is the image's (height, width). `probabilities` float32 (G,) is what the classifier says of the whole
    image for every class it knows, `known_ids`; empty when the maps come from elsewhere.
    """

    image_id: str
    levels: tuple[Scores, ...]
    class_ids: tuple[int, ...]
    size: tuple[int, int]
    probabilities: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    known_ids: tuple[int, ...] = ()

    @property
    def class_scores(self) -> NDArray[np.float32]:
        """Probability of each class that has a map, float32 (K,), NaN where unknown."""
        known = dict(zip(self.known_ids, self.probabilities, strict=True))
        return np.array([known.get(class_id, np.nan) for class_id in self.class_ids], np.float32)


def fuse(pyramid: MapPyramid, preset: Preset) -> ScoreMaps:
    """Scores float32 (K, H, W) in the image's pixels: levels interpolated, fused over scales, normalised.

    With preset `irn` this is IRN's high-resolution map: bilinear to sides rounded up to a multiple of 16, summed,
    cropped to (H, W), divided by the class's own maximum + 1e-5.
    """
    scores = np.zeros((len(pyramid.class_ids), *pyramid.size), np.float32)
    for row in range(len(scores)):
        scores[row] = _fuse_class([level[row] for level in pyramid.levels], pyramid.size, preset)
    return ScoreMaps(pyramid.image_id, scores, pyramid.class_ids, pyramid.size, pyramid.class_scores)


def _fuse_class(maps: list[Any], size: tuple[int, int], preset: Preset) -> NDArray[np.float32]:
    rounded = tuple(preset.round_up * (-(-side // preset.round_up)) for side in size)
    total = resize_map(maps[0], rounded, preset.align_corners)
    combine = np.add if preset.scale_fusion == "sum" else np.maximum
    for level in maps[1:]:
        combine(total, resize_map(level, rounded, preset.align_corners), out=total)
    if preset.relu == "fused":
        np.maximum(total, 0, out=total)
    return normalise(total[: size[0], : size[1]], preset)


def normalise(raw: NDArray[np.float32], preset: Preset) -> NDArray[np.float32]:
    """`raw` float32 (H, W) by the preset's normaliser.

    A map without contrast becomes all zeros, never NaN: under "min_max" one that is constant, under "max" one
    that is nowhere positive.
    """
    low = raw.min() if preset.normaliser == "min_max" else np.float32(0)
    span = raw.max() - low
    if preset.normaliser == "none":
        return np.ascontiguousarray(raw)
    if span <= 0:
        return np.zeros_like(raw)
    return np.asarray((raw - low) / (span + np.float32(preset.epsilon)), np.float32)


def resize_map(raw: NDArray[np.float32], size: tuple[int, ...], align_corners: bool) -> NDArray[np.float32]:
    """Bilinear interpolation of `raw` float32 (h, w) to `size` (H, W), without smoothing when it shrinks.

    The two geometries are those of torch's `interpolate(mode="bilinear")`. OpenCV computes the half-pixel one
    several times faster on a CPU; with aligned corners it is a product with two matrices of weights.
    """
    if not align_corners:
        return np.array(cv2.resize(raw, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.float32)
    # Not cv2.remap: several of its versions round positions to 1/32 of a cell.
    return _corner_weights(raw.shape[0], size[0]) @ (raw @ _corner_weights(raw.shape[1], size[1]).T)


def _corner_weights(cells: int, pixels: int) -> NDArray[np.float32]:
    """(pixels, cells): row i holds the one or two weights of pixel i; the first and last lie on the end cells."""
    positions = np.linspace(0, cells - 1, pixels)
    low = np.minimum(positions.astype(np.intp), max(cells - 2, 0))
    weights = np.zeros((pixels, cells), np.float32)
    rows = np.arange(pixels)
    weights[rows, low] = 1 - (positions - low)
    weights[rows, np.minimum(low + 1, cells - 1)] += positions - low
    return weights
