"""An image's maps and its mirror image's: joined to one, and how well the two agree."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsl.cam.preset import Preset


class FusedMaps(NamedTuple):
    """Raw `maps` float32 (K, h, w) of one layer and scale, flips joined; `agreement` float32 (K,), NaN where unknown.

    `agreement` says how much the maps of the image and of its mirror image are alike; see `compute_flip_agreement`.
    """

    maps: NDArray[np.float32]
    agreement: NDArray[np.float32]


def fuse_flips(maps: Tensor, mirrored: Tensor | None, preset: Preset) -> FusedMaps:
    """Maps (K, h, w) of an image and of its mirror image, clipped as the preset says, the second turned back and added.

    mirrored: None where the mirror image was not looked at; then nothing is known of the agreement.
    """
    fused = _clip(maps, preset)
    if mirrored is None:
        return FusedMaps(_to_array(fused), np.full(len(maps), np.nan, np.float32))
    turned = mirrored.flip(-1)
    agreement = compute_flip_agreement(maps, turned)
    turned = _clip(turned, preset)
    fused = fused + turned if preset.flip_fusion == "sum" else torch.maximum(fused, turned)
    return FusedMaps(_to_array(fused), _to_array(agreement))


def compute_flip_agreement(maps: Tensor, turned: Tensor) -> Tensor:
    """Soft IoU float32 (K,) in [0, 1] of the positive parts of two stacks of maps (K, h, w): sum(min) / sum(max).

    1 = equal, 0 = nowhere positive together; NaN where both are nowhere positive. `turned` lies as `maps` does.
    """
    first, second = maps.float().clamp(min=0), turned.float().clamp(min=0)
    return torch.minimum(first, second).sum((1, 2)) / torch.maximum(first, second).sum((1, 2))


def _clip(maps: Tensor, preset: Preset) -> Tensor:
    return maps.clamp(min=0) if preset.relu == "each" else maps


def _to_array(values: Tensor) -> NDArray[np.float32]:
    return values.detach().float().cpu().numpy()
