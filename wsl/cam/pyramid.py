"""Raw class maps at the network's resolution, and their fusion into score maps in the image's own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.cam.preset import Preset
from wsl.types import ScoreMaps, Scores

ROUNDING = np.float32(1e-5)  # relative: what interpolation may leave of a constant
UNKNOWN_AGREEMENT = np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class MapPyramid:
    """One image's raw maps: `levels[l * S + s]` is float32 (K, h, w), flips fused, for layer l and scale s of S.

    Levels are far smaller than a full-size map and regenerate it exactly, so they are what is stored.
    `size` is the image's (height, width). `probabilities` float32 (G,) is what the classifier says of the whole
    image for every class it knows, `known_ids`; empty when the maps come from elsewhere.
    `flip_agreement` float32 (levels, K) in [0, 1] says how alike the maps of image and mirror image were before they
    were joined (`wsl.cam.flips`), NaN where both were empty; it has no rows where there was no mirror image.
    """

    image_id: str
    levels: tuple[Scores, ...]
    class_ids: tuple[int, ...]
    size: tuple[int, int]
    probabilities: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    known_ids: tuple[int, ...] = ()
    num_layers: int = 1
    flip_agreement: NDArray[np.float32] = field(default_factory=UNKNOWN_AGREEMENT.copy)

    def select(self, rows: list[int]) -> MapPyramid:
        """The same pyramid with the maps of the classes in these rows only, in this order."""
        # in C order, in which the engine stores it too: the same values are to be the same bytes
        agreement = np.take(self.flip_agreement, rows, axis=1) if len(self.flip_agreement) else self.flip_agreement
        levels, class_ids = tuple(level[rows] for level in self.levels), tuple(self.class_ids[row] for row in rows)
        return replace(self, levels=levels, class_ids=class_ids, flip_agreement=agreement)

    @property
    def class_agreement(self) -> NDArray[np.float32]:
        """Mean of `flip_agreement` over the levels that know it, float32 (K,), NaN where none does."""
        known = np.isfinite(self.flip_agreement)
        total = np.where(known, self.flip_agreement, 0).sum(0, dtype=np.float64)
        mean = np.full(len(self.class_ids), np.nan)
        if len(self.flip_agreement):
            np.divide(total, known.sum(0), out=mean, where=known.any(0))
        return mean.astype(np.float32)

    @property
    def class_scores(self) -> NDArray[np.float32]:
        """Probability of each class that has a map, float32 (K,), NaN where unknown."""
        known = dict(zip(self.known_ids, self.probabilities, strict=True))
        return np.array([known.get(class_id, np.nan) for class_id in self.class_ids], np.float32)


def fuse(pyramid: MapPyramid, preset: Preset) -> ScoreMaps:
    """Scores float32 (K, H, W) in the image's pixels: levels interpolated, fused over scales and layers, normalised.

    With preset `irn` this is IRN's high-resolution map: bilinear to sides rounded up to a multiple of 16, summed,
    cropped to (H, W), divided by the class's own maximum + 1e-5.
    """
    scores = np.zeros((len(pyramid.class_ids), *pyramid.size), np.float32)
    for row in range(len(scores)):
        scores[row] = fuse_resized(resize_levels(pyramid, row, preset), pyramid.size, preset)
    return ScoreMaps(pyramid.image_id, scores, pyramid.class_ids, pyramid.size, pyramid.class_scores)


def resize_levels(pyramid: MapPyramid, row: int, preset: Preset) -> list[list[NDArray[np.float32]]]:
    """The maps of one class at the image's size rounded up by the preset: per layer a list with one for each scale."""
    rounded = tuple(preset.round_up * (-(-side // preset.round_up)) for side in pyramid.size)
    maps = [level[row] for level in pyramid.levels]
    if preset.raw_normaliser == "min_max":
        maps = [_min_max(each, preset.epsilon) for each in maps]
    resized = [resize_map(each, rounded, preset.align_corners, preset.interpolation) for each in maps]
    per_layer = len(resized) // pyramid.num_layers
    return [resized[first : first + per_layer] for first in range(0, len(resized), per_layer)]


def fuse_resized(
    layers: Sequence[Sequence[NDArray[np.float32]]], size: tuple[int, int], preset: Preset
) -> NDArray[np.float32]:
    """One map float32 (H, W) of what `resize_levels` gave; the maps given stay as they are."""
    totals = [_fuse_scales(maps, size, preset) for maps in layers]
    if len(totals) == 1:
        return normalise(totals[0], preset)
    if preset.raw_normaliser == "none":
        totals = [normalise(total, preset) for total in totals]
    return normalise(fuse_layers(totals, preset.layer_fusion), preset)


def _fuse_scales(maps: Sequence[NDArray[np.float32]], size: tuple[int, int], preset: Preset) -> NDArray[np.float32]:
    """float32 (H, W): one layer's maps of all scales fused, not normalised."""
    total = maps[0].copy()
    combine = np.add if preset.scale_fusion == "sum" else np.maximum
    for level in maps[1:]:
        combine(total, level, out=total)
    if preset.relu == "fused":
        np.maximum(total, 0, out=total)
    return total[: size[0], : size[1]]


def fuse_layers(maps: list[NDArray[np.float32]], fusion: str) -> NDArray[np.float32]:
    """One map float32 (H, W) of several layers' maps; see `Preset.layer_fusion`."""
    stacked = np.stack(maps)
    if fusion == "tanh_max":
        highest = stacked.max((1, 2), keepdims=True)
        return np.asarray(np.tanh(2 * stacked / np.where(highest > 0, highest, 1)).max(0), np.float32)
    fused = stacked.mean(0) if fusion in ("mean", "method") else stacked.max(0) if fusion == "max" else stacked.prod(0)
    return np.asarray(fused, np.float32)


def normalise(raw: NDArray[np.float32], preset: Preset) -> NDArray[np.float32]:
    """`raw` float32 (H, W) by the preset's normaliser.

    A map without contrast becomes all zeros, never NaN: under "min_max" and "seam" one that is constant, under "max"
    one that is nowhere positive.
    """
    if preset.normaliser == "none":
        return np.ascontiguousarray(raw)
    if preset.normaliser == "min_max":
        return _min_max(raw, preset.epsilon)
    if preset.normaliser == "seam":
        return _seam(raw, np.float32(preset.epsilon))
    highest = raw.max()
    return np.zeros_like(raw) if highest <= 0 else np.asarray(raw / (highest + np.float32(preset.epsilon)), np.float32)


def _min_max(raw: NDArray[np.float32], epsilon: float) -> NDArray[np.float32]:
    low = raw.min()
    span = raw.max() - low
    # Cubic interpolation of a constant map leaves differences of rounding, which must not become contrast.
    flat = span <= ROUNDING * np.abs(raw).max()
    return np.zeros_like(raw) if flat else np.asarray((raw - low) / (span + np.float32(epsilon)), np.float32)


def _seam(raw: NDArray[np.float32], epsilon: np.float32) -> NDArray[np.float32]:
    """(x - min - e) / (max - min + e), and 0 within e of the minimum, where SEAM's own values dip to about -e."""
    low = raw.min()
    span = raw.max() - low
    return np.zeros_like(raw) if span <= 0 else np.maximum((raw - low - epsilon) / (span + epsilon), 0)


def resize_map(
    raw: NDArray[np.float32], size: tuple[int, ...], align_corners: bool, interpolation: str = "bilinear"
) -> NDArray[np.float32]:
    """`raw` float32 (h, w) interpolated to `size` (H, W), without smoothing when it shrinks.

    The bilinear geometries are those of torch's `interpolate(mode="bilinear")`; "bicubic" is OpenCV's INTER_CUBIC
    (a = -0.75), half-pixel only. OpenCV computes the half-pixel ones several times faster than torch on a CPU; with
    aligned corners it is a product with two matrices of weights.
    """
    if not align_corners:
        flag = cv2.INTER_LINEAR if interpolation == "bilinear" else cv2.INTER_CUBIC
        return np.array(cv2.resize(raw, (size[1], size[0]), interpolation=flag), np.float32)
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
