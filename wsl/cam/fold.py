"""Batch norms folded into the convolutions before them: in evaluation mode the same function with less to compute.

Which norm follows which convolution is not guessed from names: a probe image runs through the network, and another
one after folding decides whether the network is still the same; if not, it gets its own layers back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from wsl.errors import ModelError
from wsl.models.classifier import Classifier

PROBE_SIDE = 64
TOLERANCE = 1e-4  # of the largest value
Calls = list[tuple[str, nn.Module, Any, Any]]  # name, layer, input, output


@torch.no_grad()
def fold_batch_norms(model: Classifier, layers: Sequence[str] = ()) -> int:
    """Folds in place; returns how many norms are gone.

    `model` is in evaluation mode on the CPU, as it was loaded, and is used for inference only from then on. `layers`
    are those that maps are made of: their own convolutions are left as they are.
    """
    probe = torch.randn(2, 3, PROBE_SIDE, PROBE_SIDE, generator=torch.Generator().manual_seed(0))
    try:
        pairs = _find_pairs(model, probe, (*layers, model.default_layer))
        before = _outputs(model, probe)
    except (RuntimeError, ValueError, AssertionError, ModelError):
        return 0  # a network for images of one other size only
    originals = {name: model.get_submodule(name) for pair in pairs for name in pair}
    for convolution, norm in pairs:
        model.set_submodule(convolution, fuse_conv_bn_eval(originals[convolution], originals[norm]))  # type: ignore[arg-type,type-var]
        model.set_submodule(norm, nn.Identity())
    if all(_is_close(*both) for both in zip(before, _outputs(model, probe), strict=True)):
        return len(pairs)
    for name, module in originals.items():
        model.set_submodule(name, module)
    return 0


def _find_pairs(model: Classifier, probe: Tensor, layers: Sequence[str]) -> list[tuple[str, str]]:
    """Names of convolution and norm where the one's output is the other's input, and both run once."""
    calls = _record_calls(model, probe)
    names = [name for name, *_ in calls]
    once = [call for call in calls if names.count(call[0]) == 1 and call[0] not in layers]
    # Compared by identity: `calls` keeps every tensor alive, so no two share an id.
    made = {id(output): name for name, module, _, output in once if isinstance(module, nn.Conv2d)}
    norms = [(name, given) for name, module, given, _ in once if _can_fold(module) and id(given) in made]
    return [(made[id(given)], name) for name, given in norms]


def _can_fold(module: nn.Module) -> bool:
    return type(module) is nn.BatchNorm2d and module.running_mean is not None and not module.training


def _record_calls(model: Classifier, probe: Tensor) -> Calls:
    calls: Calls = []

    def watch(name: str, module: nn.Module) -> Any:
        return module.register_forward_hook(
            lambda _module, given, output: calls.append((name, module, given[0], output))
        )

    wanted = (nn.BatchNorm2d, nn.Conv2d)
    handles = [watch(name, module) for name, module in model.named_modules() if type(module) in wanted]
    try:
        model(probe)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _outputs(model: Classifier, probe: Tensor) -> list[Tensor]:
    """Logits, and the maps of a pooled classifier, of an image that the pairs were not found with."""
    other = probe.flip(3) * 0.5 + 0.1
    return [model(other), *([model.features(other)] if model.pooled else [])]


def _is_close(first: Tensor, second: Tensor) -> bool:
    return float((first - second).abs().max()) <= TOLERANCE * float(first.abs().max())
