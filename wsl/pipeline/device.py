"""Device and random seeds."""

from __future__ import annotations

import random

import numpy as np
import torch

from wsl.errors import ConfigError


def select_device(name: str) -> torch.device:
    """`auto` takes the first GPU there is, otherwise the CPU; any other name must be a device that exists."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device={name} cannot be used here: {reason} Use device=auto or device=cpu.") from None
    return device


def seed_everything(seed: int) -> None:
    """Seeds Python, numpy and torch, and asks cuDNN for repeatable algorithms."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
