"""Attention rollout: product over the blocks of (A + I) / 2, its rows summing to 1. Abnar & Zuidema, ACL 2020, eq. 1.

The map is the row of the token that the head reads (the class token), or the mean of the rows where the head pools.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.attention import AttentionRecord, check_no_layer, rows_to_maps
from wsl.cam.method import METHODS, CamMethod, check_targets
from wsl.cam.targets import Targets
from wsl.cam.trace import Trace
from wsl.errors import ConfigError

HEADS: dict[str, Callable[..., Tensor]] = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}


@METHODS.register("attention_rollout")
@dataclass(frozen=True)
class AttentionRollout(CamMethod):
    """heads: how the heads of a block are joined, mean, max or min. discard: share of the smallest entries set to 0."""

    needs = frozenset({"attention"})
    per_position = True

    heads: str = "mean"
    discard: float = 0.0

    def __post_init__(self) -> None:
        if self.heads not in HEADS:
            raise ConfigError(f"heads: expected one of {sorted(HEADS)}, but got '{self.heads}'.")
        if not 0 <= self.discard < 1:
            raise ConfigError(f"discard: expected a share in [0, 1), but got {self.discard}.")

    def compute_maps(self, trace: Trace, layer: str | None, targets: Targets) -> list[Tensor]:
        check_no_layer("attention_rollout", layer)
        check_targets(targets, len(trace.images))
        maps = rows_to_maps(trace.model, self._roll_out(trace), trace.size)
        return [maps[row].expand(len(each), -1, -1) for row, each in enumerate(targets)]

    @torch.no_grad()
    def _roll_out(self, trace: Trace) -> Tensor:
        """(B, T): only the wanted row of the product is computed, from the last block to the first."""
        row = AttentionRecord.of(trace.attention).find_first_row(trace.model, trace.images)
        for attention in reversed(trace.attention):
            joined = self._discard_smallest(HEADS[self.heads](attention.float(), dim=1))
            mixed = joined + torch.eye(joined.shape[1], device=joined.device)
            row = torch.einsum("bi,bij->bj", row, mixed / mixed.sum(2, keepdim=True))
        return row

    def _discard_smallest(self, joined: Tensor) -> Tensor:
        count = int(joined[0].numel() * self.discard)
        flat = joined.flatten(1)
        smallest = flat.argsort(dim=1, stable=True)[:, :count]
        return flat.scatter(1, smallest, 0.0).reshape(joined.shape)
