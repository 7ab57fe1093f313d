"""Optimiser, its parameter groups, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from wsl.models.classifier import Classifier
from wsl.train.settings import TrainSettings

POLY_POWER = 0.9  # Chen et al., DeepLab, 2016


def compute_learning_rate_factor(step: float, total: float, warmup: float, schedule: str) -> float:
    """Factor in [0, 1] on the learning rate for step 0..total-1.

    A linear rise over the first `warmup` steps, then with t in [0, 1] the part of the rest that is done:
    "cosine" (1 + cos(pi t)) / 2 (Loshchilov & Hutter 2017), "poly" (1 - t) ** 0.9.
    """
    warmup = min(warmup, total)
    if step < warmup:
        return (step + 1) / (math.ceil(warmup) + 1)
    done = (step - warmup) / max(1.0, total - warmup)
    return (1 + math.cos(math.pi * done)) / 2 if schedule == "cosine" else (1 - done) ** POLY_POWER


def build_optimizer(classifier: Classifier, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW or SGD over the parameters that are to be trained."""
    groups = group_parameters(classifier, settings)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(settings.momentum, 0.999))
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum)


def group_parameters(classifier: Classifier, settings: TrainSettings) -> list[dict[str, Any]]:
    """Groups by head or not and weight decay or not, each with its `base_lr`.

    Vectors (biases, affine values of norms) are never decayed; the head learns faster by the settings' factor.
    """
    sorted_out: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in classifier.net.named_parameters():
        if parameter.requires_grad:
            key = (name.startswith(classifier.head_prefixes), parameter.ndim > 1)
            sorted_out.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "base_lr": settings.learning_rate * (settings.head_learning_rate_factor if is_head else 1.0),
            "weight_decay": settings.weight_decay if is_decayed else 0.0,
        }
        for (is_head, is_decayed), parameters in sorted(sorted_out.items(), key=lambda item: item[0])
    ]


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Gives every group `factor` times its base learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


def freeze_batch_norm(classifier: nn.Module) -> None:
    """Batch norm keeps its statistics and affine values from here on (call again after `train()`)."""
    for module in classifier.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
            for parameter in module.parameters():
                parameter.requires_grad_(False)
