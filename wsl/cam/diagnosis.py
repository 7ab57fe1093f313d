"""Maps that say nothing, and why: told once per cause, not once per image."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsl.cam.targets import Targets

if TYPE_CHECKING:
    from wsl.cam.method import CamMethod
    from wsl.cam.trace import Trace

log = logging.getLogger("wsl")

ROUNDING = 1e-5  # relative
FEWEST_POSITIONS = 5  # FEM, for one, gives zeros for so few
_told: set[tuple[str, str, str]] = set()


def diagnose(trace: Trace, layer: str | None, method: CamMethod, maps: Sequence[Tensor], targets: Targets) -> None:
    """Warns once when maps (K, h, w) are not finite or constant over the image, with the cause where it can be seen."""
    found = [each for each in maps if each.numel()]
    if not found:
        return
    if not all(bool(torch.isfinite(each).all()) for each in found):
        warn_once("non-finite", layer, method, _why_not_finite(trace, layer))
    elif any(_is_constant(each) for each in found):
        cause = _why_constant(trace, layer, method, targets)
        if cause is not None:
            warn_once("constant", layer, method, cause)


def warn_once(kind: str, layer: str | None, method: object, cause: str) -> None:
    """One line in the log for each kind of trouble, method and layer."""
    key = (kind, str(layer), type(method).__name__)
    if key not in _told:
        _told.add(key)
        log.warning("%s, layer %s: %s (told once)", type(method).__name__, layer or "before the pooling", cause)


def forget_warnings() -> None:
    """The next trouble of each kind is told again: for a new run in the same process."""
    _told.clear()


def _is_constant(maps: Tensor) -> bool:
    """Whether the map of any class has no contrast; a map of a single cell cannot have any."""
    flat = maps.flatten(1)
    span = flat.amax(1) - flat.amin(1)
    return flat.shape[1] > 1 and bool((span <= ROUNDING * flat.abs().amax(1)).any())


def _why_not_finite(trace: Trace, layer: str | None) -> str:
    if not bool(torch.isfinite(trace.images).all()):
        return "the map has NaN or inf because the network's input has; check the images and the normalisation"
    if bool(torch.isfinite(trace.activation(layer)).all()):
        return "the map has NaN or inf though the layer's activation has none; the gradient overflows: use float32"
    return "the layer's activation has NaN or inf; use cam.precision=float32 or bfloat16, and check the weights"


def _why_constant(trace: Trace, layer: str | None, method: CamMethod, targets: Targets) -> str | None:
    activation = trace.activation(layer)
    rows = [row for row, each in enumerate(targets) if each]
    if all(bool((activation[row] == 0).all()) for row in rows):
        return "the map is zero because the layer's activation is zero everywhere; check the weights or choose another"
    if activation[0, 0].numel() <= FEWEST_POSITIONS:
        return "the map has too few positions to differ; use larger images, or an earlier layer"
    if all(_is_flat(activation[row]) for row in rows):
        return "the map is constant because the activation is the same everywhere in the image (a blank image?)"
    if "gradients" in method.needs and all(not bool(each.any()) for each in trace.gradients(layer, targets)):
        return (
            "the map is zero because the class scores have no gradient there (behind the last attention of a "
            "transformer only the class token counts); choose an earlier layer"
        )
    return None


def _is_flat(activation: Tensor) -> bool:
    flat = activation.flatten(1)
    return bool((flat - flat[:, :1]).abs().max() <= ROUNDING * flat.abs().max())
