"""Layers with a spatial map, found by a probe."""

from __future__ import annotations

from torch import Tensor

from wsl.errors import ModelError
from wsl.models.classifier import Classifier


def find_stages(model: Classifier, images: Tensor, count: int = 3) -> tuple[str, ...]:
    """The last layer of each of the last `count` resolutions."""
    raise ModelError("not built yet")
