"""The conventions that turn raw class maps into scores in [0, 1], as data.

A threshold means something only once these are fixed, so every run records the preset's fields.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from wsl.errors import ConfigError, suggest

CHOICES = {
    "relu": ("each", "fused", "none"),
    "flip_fusion": ("sum", "max"),
    "scale_fusion": ("sum", "max"),
    "layer_fusion": ("method", "mean", "max", "tanh_max", "product"),
    "raw_normaliser": ("none", "min_max"),
    "normaliser": ("max", "min_max", "seam", "none"),
    "input_sides": ("exact", "stride_plus_one"),
    "interpolation": ("bilinear", "bicubic"),
    "target": ("logit", "probability", "logit_and_log_probability"),
}


@dataclass(frozen=True)
class Preset:
    """How raw maps of several scales, flips and layers become one score map per class, in the order of the fields.

    target: the class score that is explained.
    input_sides: "exact" feeds sides of round(side * scale); "stride_plus_one" the nearest k * stride + 1, where
        the centres of the first and the last cell of a padded network lie on the image's first and last pixel.
    relu: "each" clips every map before flips and scales are added, "fused" clips their sum, "none" keeps signs.
    flip_fusion: "sum" or "max".
    raw_normaliser: "min_max" normalises every map at the network's resolution, before it is resized.
    interpolation, align_corners: geometry of the resizing (False = half-pixel centres).
    round_up: maps are interpolated to sides rounded up to this multiple, then cropped (IRN: 16); 1 = exact size.
    scale_fusion: "sum" or "max".
    normaliser: "max" divides by (max + epsilon); "min_max" subtracts the minimum first; "seam" is "min_max" with
        values within 1e-5 of the minimum at 0; "none".
    layer_fusion: of several layers' normalised maps: "mean", "max", "product", or "tanh_max", the maximum of
        tanh(2 m / max m) (Jiang et al., LayerCAM, TIP 2021, eq. 9); "method" is the one of the method's paper, or
        "mean". The result is normalised again.
    """

    relu: str = "each"
    flip_fusion: str = "sum"
    scale_fusion: str = "sum"
    normaliser: str = "max"
    epsilon: float = 1e-5
    input_sides: str = "exact"
    align_corners: bool = False
    round_up: int = 1
    raw_normaliser: str = "none"
    interpolation: str = "bilinear"
    layer_fusion: str = "method"
    target: str = "logit"

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                expected = ", ".join(choices)
                raise ConfigError(f"preset, {name}: expected one of {expected}, but got '{getattr(self, name)}'.")
        if self.align_corners and self.interpolation == "bicubic":
            raise ConfigError("preset: expected align_corners false with bicubic interpolation, but got true.")

    def as_dict(self) -> dict[str, Any]:
        """The fields, for manifests and map files."""
        return asdict(self)


PRESETS: dict[str, Preset] = {
    # IRN step/make_cam.py, high-resolution map: the back-end of most WSSS papers.
    "irn": Preset(round_up=16),
    # PSA infer_cls.py: the same sums at the image's own size.
    "psa": Preset(),
    # SEAM infer_SEAM.py: the sum is clipped, not its parts.
    "seam": Preset(relu="fused", normaliser="seam"),
    # CLIP-ES: softmax score, min-max at the network's resolution, then bilinear.
    "clip_es": Preset(
        raw_normaliser="min_max", normaliser="none", epsilon=1e-7, scale_fusion="max", target="probability"
    ),
    # The sums of PSA with the network's own geometry: no half-cell shift between map and image.
    "aligned": Preset(input_sides="stride_plus_one", align_corners=True),
    # pytorch-grad-cam: ReLU and min-max per layer before resizing, mean over layers, min-max.
    "grad_cam": Preset(raw_normaliser="min_max", normaliser="min_max", epsilon=1e-7, layer_fusion="mean"),
    # torch-cam: ReLU and min-max before resizing, maximum over layers.
    "torchcam": Preset(
        raw_normaliser="min_max", normaliser="none", epsilon=1e-8, scale_fusion="max", layer_fusion="max"
    ),
    # wsolevaluation: signed map, bicubic, min-max after resizing.
    "wsolevaluation": Preset(relu="none", normaliser="min_max", epsilon=0.0, interpolation="bicubic"),
    # Grad-CAM paper: ReLU of the weighted sum, divided by its maximum.
    "paper": Preset(relu="fused", epsilon=0.0),
}  # fmt: skip


def get_preset(name: str) -> Preset:
    """The preset of that name; ConfigError with the nearest name otherwise."""
    if name not in PRESETS:
        raise ConfigError(f"Unknown CAM preset '{name}'.{suggest(name, PRESETS)}")
    return PRESETS[name]
