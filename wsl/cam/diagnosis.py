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
_told: set[tuple[str, str, int]] = set()


def diagnose(trace: Trace, layer: str | None, method: CamMethod, maps: Sequence[Tensor], targets: Targets) -> None:
    """Warns once when maps (K, h, w) are not finite or constant over the image, with the cause where it can be seen."""
    found = [each for each in maps if each.numel()]
    cause = _find_cause(trace, layer, method, found, targets) if found else None
    if cause is not None:
        where = f"{type(method).__name__}, layer {layer or 'before the pooling'}"
        warn_once(where, cause, trace.model.net)


def warn_once(where: str, cause: str, network: object) -> None:
    """One line in the log for each place, cause and network."""
    key = (where, cause, id(network))
    if key not in _told:
        _told.add(key)
        log.warning("%s: %s (told once)", where, cause)


def forget_warnings() -> None:
    """The next trouble of each kind is told again: for a new run in the same process."""
    _told.clear()


def _find_cause(
    trace: Trace, layer: str | None, method: CamMethod, maps: Sequence[Tensor], targets: Targets
) -> str | None:
    if not all(bool(torch.isfinite(each).all()) for each in maps):
        return _why_not_finite(trace, layer)
    if all(each[0].numel() == 1 for each in maps):
        return "the map has one position only; use larger images, or an earlier layer"
    return _why_constant(trace, layer, method, targets) if any(_is_constant(each) for each in maps) else None


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
            "the map is zero because the class scores have no gradient there: behind the last attention of a "
            "transformer only the class token counts (choose an earlier layer), and a probability of 1 cannot grow "
            "(target=logit)"
        )
    return None


def _is_flat(activation: Tensor) -> bool:
    flat = activation.flatten(1)
    return bool((flat - flat[:, :1]).abs().max() <= ROUNDING * flat.abs().max())
