"""Whether a named layer is the very map that a pooled head averages: then its gradients need no backward pass."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from wsl.models.classifier import Classifier

_KNOWN: WeakKeyDictionary[nn.Module, tuple[str, bool]] = WeakKeyDictionary()


def is_pooled_map(model: Classifier, layer: str | None, images: Tensor) -> bool:
    """Whether `layer` is the classifier's default layer and gives, bit for bit, what its pooled head averages.

    Found out by one forward pass of the first image, and remembered for the network.
    """
    if layer is None or not model.pooled or layer != model.default_layer:
        return False
    # a wrapper is made anew in every call, the network inside is not
    if model.net not in _KNOWN or _KNOWN[model.net][0] != layer:
        _KNOWN[model.net] = layer, _compare(model, layer, images[:1])
    return _KNOWN[model.net][1]


def _compare(model: Classifier, layer: str, image: Tensor) -> bool:
    seen: list[Any] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        seen.append(output.clone() if isinstance(output, Tensor) else output)  # an in-place layer may follow

    handle = model.get_submodule(layer).register_forward_hook(keep)
    try:
        with torch.no_grad():
            features = model.features(image)
    finally:
        handle.remove()
    if len(seen) != 1 or not isinstance(seen[0], Tensor) or seen[0].ndim != features.ndim:
        return False
    return torch.equal(seen[0], features)
