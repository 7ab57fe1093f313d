"""The conventions that turn raw class maps into scores in [0, 1], as data.

A threshold means something only once these are fixed, so every run records the preset's fields.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from wsl.errors import ConfigError, suggest


@dataclass(frozen=True)
class Preset:
    """How raw maps of several scales and flips become one score map per class.

    relu: "each" clips every map before flips and scales are added, "fused" clips their sum, "none" keeps signs.
    flip_fusion, scale_fusion: "sum" or "max".
    normaliser: "max" divides by (max + epsilon); "min_max" subtracts the minimum first; "none".
    input_sides: "exact" feeds sides of round(side * scale); "stride_plus_one" the nearest k * stride + 1, where
        the centres of the first and the last cell of a padded network lie on the image's first and last pixel.
    align_corners: interpolation geometry that goes with it (False = half-pixel centres).
    round_up: maps are interpolated to sides rounded up to this multiple, then cropped (IRN: 16); 1 = exact size.
    """

    relu: str = "each"
    flip_fusion: str = "sum"
    scale_fusion: str = "sum"
    normaliser: str = "max"
    epsilon: float = 1e-5
    input_sides: str = "exact"
    align_corners: bool = False
    round_up: int = 1

    def as_dict(self) -> dict[str, Any]:
        """The fields, for manifests and map files."""
        return asdict(self)


PRESETS: dict[str, Preset] = {
    # IRN step/make_cam.py, high-resolution map: the back-end of most WSSS papers.
    "irn": Preset(round_up=16),
    # The same sums with the network's own geometry: no half-cell shift between map and image.
    "aligned": Preset(input_sides="stride_plus_one", align_corners=True),
    # pytorch-grad-cam: ReLU and min-max per image, half-pixel bilinear.
    "grad_cam": Preset(normaliser="min_max", epsilon=1e-7),
    # wsolevaluation: signed map, min-max after resizing.
    "wsolevaluation": Preset(relu="none", normaliser="min_max", epsilon=0.0),
    # Grad-CAM paper: ReLU of the weighted sum, divided by its maximum.
    "paper": Preset(relu="fused", epsilon=0.0),
}


def get_preset(name: str) -> Preset:
    """The preset of that name; ConfigError with the nearest name otherwise."""
    if name not in PRESETS:
        raise ConfigError(f"Unknown CAM preset '{name}'.{suggest(name, PRESETS)}")
    return PRESETS[name]
