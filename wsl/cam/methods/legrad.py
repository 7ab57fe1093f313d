"""LeGrad: per block mean over heads and queries of relu(ds_l/dA_l), then the mean over the blocks.

Bousselham et al., LeGrad, 2024, section 3. s_l is the class score of the network's own head (final norm included) on
the tokens that leave block l, as in the paper, not the network's score: each block answers for what it adds by itself,
and the gradient passes through one block only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.attention import AttentionRecord, check_no_layer, rows_to_maps
from wsl.cam.gradients import differentiate
from wsl.cam.method import METHODS, CamMethod, check_targets
from wsl.cam.targets import Targets
from wsl.cam.trace import Trace
from wsl.errors import ConfigError


@METHODS.register("legrad")
@dataclass(frozen=True)
class LeGrad(CamMethod):
    """blocks: only the last so many blocks, 0 = all."""

    needs = frozenset({"attention_gradients"})
    per_position = True

    blocks: int = 0

    def __post_init__(self) -> None:
        if self.blocks < 0:
            raise ConfigError(f"blocks: expected a number of blocks, or 0 for all, but got {self.blocks}.")

    def compute_maps(self, trace: Trace, layer: str | None, targets: Targets) -> list[Tensor]:
        check_no_layer("legrad", layer)
        check_targets(targets, len(trace.images))
        record = AttentionRecord.of(trace.attention)
        if self.blocks > len(record):
            raise ConfigError(f"blocks: {trace.model.name} has {len(record)} blocks, but got {self.blocks}.")
        used = list(zip(record, record.tokens(), strict=True))[-self.blocks :]
        sums = [torch.zeros((), device=trace.images.device) for _ in targets]
        for attention, tokens in used:
            with torch.enable_grad(), trace.precision():
                outputs = record.run_head(trace.model, trace.images, tokens)
            rows = differentiate(outputs, [attention], targets)[0]
            sums = [total + row.float().relu().mean((1, 2)) for total, row in zip(sums, rows, strict=True)]
        return [rows_to_maps(trace.model, total / len(used), trace.size) for total in sums]
