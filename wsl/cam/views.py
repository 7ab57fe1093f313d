"""The same image's score maps from each scale alone: how far they agree says something without any ground truth."""

from __future__ import annotations

import numpy as np

from wsl.cam.preset import Preset
from wsl.cam.pyramid import MapPyramid, fuse_resized, resize_levels
from wsl.types import ScoreMaps, Scores


def fuse_with_views(pyramid: MapPyramid, preset: Preset) -> tuple[ScoreMaps, tuple[Scores, ...]]:
    """(what `fuse` gives, one float32 (K, H, W) per scale), every level resized once.

    The map of a scale is fused over layers and normalised as `fuse` does with all scales.
    """
    scales = len(pyramid.levels) // pyramid.num_layers
    arrays = np.zeros((scales + 1, len(pyramid.class_ids), *pyramid.size), np.float32)
    for row in range(len(pyramid.class_ids)):
        layers = resize_levels(pyramid, row, preset)
        arrays[scales, row] = fuse_resized(layers, pyramid.size, preset)
        for scale in range(scales):
            arrays[scale, row] = fuse_resized([maps[scale : scale + 1] for maps in layers], pyramid.size, preset)
    fused = ScoreMaps(pyramid.image_id, arrays[scales], pyramid.class_ids, pyramid.size, pyramid.class_scores)
    return fused, tuple(arrays[:scales])
