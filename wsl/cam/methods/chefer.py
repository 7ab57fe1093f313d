"""Chefer's generic attention explainability: R = I, then R += mean_h(relu(dy_c/dA * A)) R block by block.

Chefer, Gur & Wolf, ICCV 2021, eq. 5 and 6, for self-attention alone. The map is the row of the token that the head
reads (the class token), or the mean of the rows where the head pools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.attention import AttentionRecord, check_no_layer, rows_to_maps
from wsl.cam.method import METHODS, CamMethod, check_targets
from wsl.cam.targets import Targets
from wsl.cam.trace import Trace


@METHODS.register("chefer")
@dataclass(frozen=True)
class Chefer(CamMethod):
    """The ReLU stands inside the sum over heads, as in the paper."""

    needs = frozenset({"attention_gradients"})
    per_position = True

    def compute_maps(self, trace: Trace, layer: str | None, targets: Targets) -> list[Tensor]:
        check_no_layer("chefer", layer)
        check_targets(targets, len(trace.images))
        gradients = trace.differentiate(trace.attention, targets)
        first = AttentionRecord.of(trace.attention).find_first_row(trace.model, trace.images)
        maps = []
        for index, each in enumerate(targets):
            attention = [block[index].detach() for block in trace.attention]
            row = _propagate(first[index].expand(len(each), -1), attention, [block[index] for block in gradients])
            maps.append(rows_to_maps(trace.model, row, trace.size))
        return maps


@torch.no_grad()
def _propagate(row: Tensor, attention: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """row (K, T) times (I + relevance) of the last block, then of those before it.

    attention per block (heads, T, T), gradients per block (K, heads, T, T) -> (K, T).
    """
    for each, gradient in zip(reversed(attention), reversed(gradients), strict=True):
        relevance = (gradient.float() * each.float()).relu_().mean(1)
        row = row + torch.einsum("ki,kij->kj", row, relevance)
    return row
