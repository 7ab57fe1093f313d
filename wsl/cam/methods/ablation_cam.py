"""Ablation-CAM: w_ck = (y_c - y_c with A_k = 0) / y_c, M_c = sum_k w_ck A_k. Desai & Ramaswamy, WACV 2020.

Only what follows the layer runs again, once per channel that is not zero already, for all classes together. Behind a
pooling the head runs on pooled vectors, and a linear head needs no run: without channel k its outputs are lower by
W_k mean(A_k). As in the paper a negative y_c turns the signs of its weights; where y_c is 0 nothing is divided.
One channel of many moves a score little: behind a layer inside the network, half precision loses most of the digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.method import METHODS, CamMethod, check_targets, sum_of_channels
from wsl.cam.option_checks import check_count
from wsl.cam.targets import Target, Targets
from wsl.cam.trace import Trace


@METHODS.register("ablation_cam")
@dataclass(frozen=True)
class AblationCam(CamMethod):
    """batch_size: channels per run of the head; it does not change the maps."""

    batch_size: int = 32

    needs = frozenset({"activations", "head"})

    def __post_init__(self) -> None:
        check_count(self.batch_size, "batch_size")

    def compute_maps(self, trace: Trace, layer: str | None, targets: Targets) -> list[Tensor]:
        """Slopes of all channels from one set of head runs per image that has classes."""
        check_targets(targets, len(trace.images))
        layer, activations = trace.resolve(layer), trace.activation(layer)
        with torch.no_grad():
            return [
                sum_of_channels(self._weigh(trace, layer, row, each), activations[row])
                if each
                else activations.new_zeros((0, *activations.shape[2:]))
                for row, each in enumerate(targets)
            ]

    def _weigh(self, trace: Trace, layer: str | None, row: int, targets: Sequence[Target]) -> Tensor:
        """Weights float32 (K, C)."""
        linear = trace.model.linear_head()
        if layer is None and linear is not None:
            return _weigh_linear(trace, row, linear.weight, targets)
        whole = trace.raw(layer)[row : row + 1]
        if layer is None:
            whole = whole.mean((2, 3), keepdim=True)
        channels = whole.movedim(trace.channel_axis(layer), 0).flatten(1)
        weights = torch.zeros(len(targets), len(channels), device=whole.device)
        live = channels.ne(0).any(1).nonzero()[:, 0]
        chunks: tuple[Tensor, ...] = torch.split(live, self.batch_size)  # one empty chunk when nothing is live
        drops = [self._drop(trace, layer, row, whole, chunk, targets) for chunk in chunks]
        weights[:, live] = torch.cat(drops, dim=1)
        return weights

    @staticmethod
    def _drop(
        trace: Trace, layer: str | None, row: int, whole: Tensor, channels: Tensor, targets: Sequence[Target]
    ) -> Tensor:
        """Weights (K, n) of the given channels: one copy of the layer's output for each, and one left whole."""
        copies = whole.expand(len(channels) + 1, *whole.shape[1:]).clone()
        places = torch.arange(len(channels), device=channels.device)
        copies.movedim(trace.channel_axis(layer), 1)[places, channels] = 0
        outputs = trace.run_head(layer, copies, row).float()
        return _slopes(outputs[-1:], outputs[:-1], targets)


def _weigh_linear(trace: Trace, row: int, weight: Tensor, targets: Sequence[Target]) -> Tensor:
    # In double precision: the difference of two close outputs would lose digits. MPS has none.
    exact = torch.float32 if weight.device.type == "mps" else torch.float64
    pooled = trace.raw(None)[row].to(exact).mean((1, 2))
    whole = trace.logits[row : row + 1].to(exact)
    return _slopes(whole, whole - (weight.detach().to(exact) * pooled).T, targets)


def _slopes(whole: Tensor, without: Tensor, targets: Sequence[Target]) -> Tensor:
    """Outputs (1, O) and (n, O) -> the share of each score that is lost, float32 (K, n)."""
    rows = []
    for target in targets:
        score = target(whole)
        rows.append((score - target(without)) / torch.where(score == 0, torch.ones_like(score), score))
    return torch.stack(rows).float()
