"""Grad-CAM: w_ck = sum_ij dy_c/dA_kij, M_c = sum_k w_ck A_k. Selvaraju et al., ICCV 2017, eq. 1 and 2.

The paper's factor 1/Z in the weights is one constant per map, which every normaliser removes; it is left out so
that maps of several scales add with the same weight (with it, a map of twice the side would count a quarter) and
so that Grad-CAM of a pooled linear head equals CAM exactly.

No graph is built before the target layer: the network runs without gradients up to it, its output is cut off as a
fresh leaf, and only the rest is differentiated. Frozen models, callers under no_grad and in-place layers work.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from wsl.cam.method import METHODS, Targets
from wsl.errors import ModelError, suggest
from wsl.models.classifier import Classifier


class GradientMaps:
    """Activations of the target layer with the graph of the head behind them."""

    def __init__(self, model: Classifier, images: Tensor, layer: str) -> None:
        self.model, self.size = model, (images.shape[2], images.shape[3])
        self.leaf, self._graph_logits = _split_forward(model, images, layer)
        self.logits = self._graph_logits.detach()

    def maps(self, targets: Targets) -> list[Tensor]:
        """Signed maps (K_b, h, w) per image: one backward through the head per class slot of the batch."""
        slots = max((len(groups) for groups in targets), default=0)
        columns = [self._slot_maps(targets, slot) for slot in range(slots)]
        if not columns:
            grid = self.model.tokens_to_map(self.leaf.detach(), self.size)
            return [grid[row, :0] for row in range(len(grid))]
        stacked = torch.stack(columns, dim=1)
        return [stacked[row, : len(groups)] for row, groups in enumerate(targets)]

    def _slot_maps(self, targets: Targets, slot: int) -> Tensor:
        with torch.enable_grad():
            rows = [
                torch.logsumexp(self._graph_logits[row, list(groups[slot])], 0)
                for row, groups in enumerate(targets)
                if slot < len(groups)
            ]
            (gradient,) = torch.autograd.grad(torch.stack(rows).sum(), self.leaf, retain_graph=True)
        activation = self.model.tokens_to_map(self.leaf.detach(), self.size).float()
        weights = self.model.tokens_to_map(gradient, self.size).float().sum((2, 3), keepdim=True)
        return (weights * activation).sum(1)


def _split_forward(model: Classifier, images: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    modules = dict(model.named_modules())
    if layer not in modules:
        raise ModelError(f"cam.layer: {model.name} has no layer '{layer}'.{suggest(layer, modules)}")
    leaves: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
        if leaves:
            raise ModelError(f"cam.layer: layer '{layer}' runs more than once in a forward pass; choose another.")
        if not isinstance(output, Tensor):
            raise ModelError(f"cam.layer: layer '{layer}' gives a {type(output).__name__}, not a map; choose another.")
        leaves.append(output.detach().clone().requires_grad_())
        torch.set_grad_enabled(True)
        # A clone goes on through the network, so that an in-place layer behind it cannot overwrite the leaf.
        return leaves[0].clone()

    handle = modules[layer].register_forward_hook(cut)
    try:
        with torch.no_grad():
            logits = model(images)
    finally:
        handle.remove()
    if not leaves or not logits.requires_grad:
        raise ModelError(f"cam.layer: layer '{layer}' is not on the way from the image to the class scores.")
    return leaves[0], logits


@METHODS.register("grad_cam")
def grad_cam(model: Classifier, images: Tensor, layer: str | None = None) -> GradientMaps:
    """Maps at `layer` (a dotted module name; None = the classifier's last spatial layer)."""
    return GradientMaps(model, images, layer or model.default_layer)
