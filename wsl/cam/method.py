"""The CAM methods' protocol and registry. A method is one short file with its formula and paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from wsl.models.classifier import Classifier
from wsl.registry import Registry

ClassGroups = Sequence[tuple[int, ...]]  # per class: output indices of the class's group
Targets = Sequence[ClassGroups]  # per image


class CamMethod(Protocol):
    """Raw class maps of a batch from one forward pass."""

    def __call__(self, model: Classifier, images: Tensor, layer: str | None) -> RawMaps:
        """Runs `images` float (B, 3, H, W) once; the maps of any classes are then asked of the result."""
        ...


class RawMaps(Protocol):
    """What a forward pass left behind: `logits` (B, O), and maps of any classes without another forward."""

    logits: Tensor

    def maps(self, targets: Targets) -> list[Tensor]:
        """Signed maps float (K_b, h, w) per image b for `targets[b]`; K_b may differ and may be 0."""
        ...


METHODS: Registry[CamMethod] = Registry("CAM method")
