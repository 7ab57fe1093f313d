"""`fuse` on a GPU: the same steps in torch, for callers whose maps would otherwise wait for the CPU's resizing.

On a CPU `wsl.cam.pyramid.fuse` is faster, because OpenCV's resizing is; the two agree to rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from wsl.cam.preset import Preset
from wsl.cam.pyramid import ROUNDING, MapPyramid
from wsl.types import ScoreMaps


def fuse_on_device(pyramid: MapPyramid, preset: Preset, device: torch.device) -> ScoreMaps:
    """What `fuse` returns, computed for all classes at once on `device`."""
    levels = [torch.from_numpy(level).to(device) for level in pyramid.levels]
    per_layer = len(levels) // pyramid.num_layers
    layers = [levels[first : first + per_layer] for first in range(0, len(levels), per_layer)]
    totals = [_fuse_scales(maps, pyramid.size, preset) for maps in layers]
    if len(totals) == 1:
        scores = _normalise(totals[0], preset)
    else:
        kept = totals if preset.raw_normaliser != "none" else [_normalise(total, preset) for total in totals]
        scores = _normalise(_fuse_layers(torch.stack(kept), preset.layer_fusion), preset)
    found = scores.cpu().numpy()
    return ScoreMaps(pyramid.image_id, found, pyramid.class_ids, pyramid.size, pyramid.class_scores)


def _fuse_scales(maps: list[Tensor], size: tuple[int, int], preset: Preset) -> Tensor:
    """(K, H, W)."""
    rounded = [preset.round_up * (-(-side // preset.round_up)) for side in size]
    if preset.raw_normaliser == "min_max":
        maps = [_min_max(each, preset.epsilon) for each in maps]
    resized = torch.stack([_resize(each, rounded, preset) for each in maps])
    total = resized.sum(0) if preset.scale_fusion == "sum" else resized.amax(0)
    total = total.clamp(min=0) if preset.relu == "fused" else total
    return total[:, : size[0], : size[1]]


def _resize(maps: Tensor, size: list[int], preset: Preset) -> Tensor:
    if not len(maps):
        return maps.new_zeros((0, *size))
    return functional.interpolate(
        maps[None], size, mode=preset.interpolation, align_corners=preset.align_corners
    )[0]  # fmt: skip


def _fuse_layers(stacked: Tensor, fusion: str) -> Tensor:
    """(L, K, H, W) -> (K, H, W)."""
    if fusion == "tanh_max":
        highest = _peaks(stacked)
        return torch.tanh(2 * stacked / torch.where(highest > 0, highest, 1.0)).amax(0)
    return stacked.mean(0) if fusion in ("mean", "method") else stacked.amax(0) if fusion == "max" else stacked.prod(0)


def _peaks(maps: Tensor) -> Tensor:
    return maps.amax((-2, -1), keepdim=True)


def _normalise(maps: Tensor, preset: Preset) -> Tensor:
    if preset.normaliser == "none" or not len(maps):
        return maps
    if preset.normaliser == "min_max":
        return _min_max(maps, preset.epsilon)
    highest = _peaks(maps)
    if preset.normaliser == "seam":
        low = maps.amin((-2, -1), keepdim=True)
        span = highest - low
        scaled = ((maps - low - preset.epsilon) / (span + preset.epsilon)).clamp(min=0)
        return torch.where(span > 0, scaled, 0.0)
    return torch.where(highest > 0, maps / (highest + preset.epsilon), 0.0)


def _min_max(maps: Tensor, epsilon: float) -> Tensor:
    if not len(maps):
        return maps
    low = maps.amin((-2, -1), keepdim=True)
    span = _peaks(maps) - low
    flat = span <= float(ROUNDING) * _peaks(maps.abs())
    return torch.where(flat, 0.0, (maps - low) / (span + epsilon))
