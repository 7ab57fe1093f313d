"""The same image's score maps from each scale alone: how far they agree says something without any ground truth."""

from __future__ import annotations

from dataclasses import replace

from wsl.cam.preset import Preset
from wsl.cam.pyramid import MapPyramid, fuse
from wsl.types import Scores


def fuse_each_scale(pyramid: MapPyramid, preset: Preset) -> tuple[Scores, ...]:
    """One float32 (K, H, W) per scale, fused over layers and normalised as `fuse` does with all scales."""
    scales = len(pyramid.levels) // pyramid.num_layers
    return tuple(fuse(replace(pyramid, levels=pyramid.levels[scale::scales]), preset).scores for scale in range(scales))
