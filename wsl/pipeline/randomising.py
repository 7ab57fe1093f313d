"""A classifier that has learned nothing: its parameters drawn anew."""

from __future__ import annotations

import torch

from wsl.errors import ModelError
from wsl.models.classifier import Classifier

PARTS = ("head", "network")


@torch.no_grad()
def randomise(model: Classifier, part: str, seed: int) -> int:
    """Replaces parameters in place by normal numbers with each tensor's own mean and spread; returns how many tensors.

    part: "head" (what follows the pooling) or "network" (everything). Statistics of batch norms stay. The same seed
    gives the same numbers, whatever the device. ModelError when that part has no parameters.
    """
    generator = torch.Generator().manual_seed(seed)
    count = 0
    for name, parameter in model.net.named_parameters():
        if part == "head" and not name.startswith(model.head_prefixes):
            continue
        old = parameter.detach().float().cpu()
        drawn = old.mean() + old.std(correction=0) * torch.randn(old.shape, generator=generator)
        parameter.copy_(drawn)
        count += 1
    if not count:
        raise ModelError(f"{model.name}: expected parameters in the {part} to draw anew, but found none.")
    return count
