"""How maps are made, as one record: `CamOptions`. Checks of single methods' options are in `option_checks`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from wsl.cam.method import CamMethod, build_method
from wsl.cam.preset import PRESETS, Preset
from wsl.cam.targets import TARGETS
from wsl.errors import ConfigError, suggest
from wsl.models.classifier import LABEL_MODES

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
STAGES = "stages"
SMALLEST_TILE = 64


@dataclass(frozen=True)
class CamOptions:
    """How maps are made.

    method, options: registry name and its options. layers: dotted module names, or "stages" for the last layer of each
    of the last three resolutions; () = what the method looks at by itself. target: the class score that is explained,
    None = the preset's. long_side: images are resized to this longer side first, None = own size. scales: factors on
    top of it. tile: network inputs with a longer side are cut into tiles of this side, None = never; tile_overlap:
    pixels that neighbouring tiles share. class_threshold: probability from which a predicted class counts, used where
    no labels are given. label_mode: "single" (softmax) or "multi" (sigmoid), how the classifier's outputs become
    probabilities. predict_side: image-level probabilities come from the image stretched to this square, the view that
    the classifier was trained on; None = from the scale nearest to 1. channels_last: memory layout of the input.
    """

    method: str = "cam"
    layers: tuple[str, ...] = ()
    scales: tuple[float, ...] = (1.0, 0.5, 1.5, 2.0)
    flip: bool = True
    long_side: int | None = None
    preset: Preset = PRESETS["irn"]
    class_threshold: float = 0.5
    label_mode: str = "multi"
    precision: str = "float32"
    predict_side: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    target: str | None = None
    tile: int | None = None
    tile_overlap: int = 64
    channels_last: bool = True

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale <= 16 for scale in self.scales):
            raise ConfigError(f"cam.scales: expected at least one factor above 0 (to 16), but got {self.scales}.")
        if self.long_side is not None and self.long_side < 1:
            raise ConfigError(f"cam.long_side: expected a number of pixels or null, but got {self.long_side}.")
        if not 0 <= self.class_threshold <= 1:
            raise ConfigError(f"cam.class_threshold: expected a probability in [0, 1], but got {self.class_threshold}.")
        if self.target is not None and self.target not in TARGETS:
            raise ConfigError(f"cam.target: unknown target '{self.target}'.{suggest(self.target, TARGETS)}")
        if self.label_mode not in LABEL_MODES:
            raise ConfigError(f"label_mode: expected one of {', '.join(LABEL_MODES)}, but got '{self.label_mode}'.")
        if self.precision not in PRECISIONS:
            raise ConfigError(f"cam.precision: expected one of {', '.join(PRECISIONS)}, but got '{self.precision}'.")
        self._check_tiles()

    def _check_tiles(self) -> None:
        if self.tile is not None and self.tile < SMALLEST_TILE:
            raise ConfigError(f"cam.tile: expected at least {SMALLEST_TILE} pixels or null, but got {self.tile}.")
        if self.tile is not None and not 0 <= self.tile_overlap <= self.tile // 2:
            raise ConfigError(
                f"cam.tile_overlap: expected 0 to half of cam.tile={self.tile}, but got {self.tile_overlap}."
            )

    def build_method(self) -> CamMethod:
        """The method with its options."""
        return build_method(self.method, **self.options)

    @property
    def target_name(self) -> str:
        """Name of the class score that is explained."""
        return self.target or self.preset.target

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """The context of the chosen precision."""
        dtype = PRECISIONS[self.precision]
        return torch.autocast(device.type, dtype) if dtype else nullcontext()
