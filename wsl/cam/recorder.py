"""Hooks that live only as long as a forward pass: outputs of layers, and of everything that adds a bias."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wsl.errors import ModelError, suggest
from wsl.models.classifier import Classifier


class LayerRecorder:
    """Keeps the outputs of named layers; with `graph`, the first of them becomes the leaf that gradients start from.

    What goes on through the network is a clone, so that an in-place layer behind a recorded one cannot overwrite it.
    """

    def __init__(self, model: Classifier, names: Sequence[str], graph: bool, from_start: bool) -> None:
        self.model, self.names, self.graph = model, names, graph
        self.outputs: dict[str, Tensor] = {}
        self._cut = graph and not from_start
        modules = {name: module for name, module in model.named_modules() if name}
        for name in names:
            if name not in modules:
                raise ModelError(f"cam.layer: {model.name} has no layer '{name}'.{suggest(name, modules)}")
        self._modules = [(name, modules[name]) for name in names]

    def __enter__(self) -> LayerRecorder:
        self._handles = [module.register_forward_hook(self._hook(name)) for name, module in self._modules]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _hook(self, name: str) -> Any:
        def keep(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
            if name in self.outputs:
                raise ModelError(f"cam.layer: layer '{name}' runs more than once in a forward pass; choose another.")
            if not isinstance(output, Tensor):
                kind = type(output).__name__
                raise ModelError(f"cam.layer: layer '{name}' gives a {kind}, not a map; choose another.")
            if self._cut:
                self._cut = False
                output = output.detach().clone().requires_grad_()
                torch.set_grad_enabled(True)
            self.outputs[name] = output
            return output.clone()

        return keep

    def check(self, outputs: Tensor) -> None:
        """Raises ModelError for layers that did not run, or that the scores do not depend on."""
        for name in self.names:
            if name not in self.outputs or (self.graph and not outputs.requires_grad):
                behind = ", or lies behind the pooling: choose a layer before it" if self.model.pooled else ""
                raise ModelError(
                    f"cam.layer: layer '{name}' is not on the way from the image to the class scores{behind}."
                )


class BiasRecorder:
    """Keeps (module, output) of every convolution, linear layer and normalisation, in order of execution."""

    def __init__(self, model: nn.Module, active: bool) -> None:
        kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
        self.calls: list[tuple[nn.Module, Tensor]] = []
        self._modules = [module for module in model.modules() if active and isinstance(module, kinds)]

    def __enter__(self) -> BiasRecorder:
        self._handles = [module.register_forward_hook(self._keep) for module in self._modules]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _keep(self, module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        self.calls.append((module, output))
        return output.clone()  # an in-place layer must not overwrite it
