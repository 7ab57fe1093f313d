"""Number formats of the forward pass."""

from __future__ import annotations

import torch

from wsl.errors import ConfigError


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of the forward pass for `precision` on `device`; "auto" is float32 on everything but CUDA."""
    if precision == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if precision == "float16" and device.type != "cuda":
        raise ConfigError(f"train.precision: float16 needs a CUDA device, but the device is {device}; use auto.")
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
