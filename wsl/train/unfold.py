"""Weights whose batch norm was folded into the convolutions, made trainable again.

Converted weights often come with identity statistics (mean 0, variance 1) because the real ones went into the
convolutions. In evaluation that is the same function; in training the first batch statistics destroy it. Here the
statistics are measured on training images, layer by layer in one pass, and scale and shift are changed so that the
function stays what it was.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wsl.models.classifier import Classifier


def is_folded(classifier: Classifier) -> bool:
    """Whether every batch norm has identity statistics but not all have the zero shift of a fresh network."""
    norms = [module for module in classifier.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms or any(norm.running_mean is None or norm.running_var is None for norm in norms):
        return False
    identity = all(bool((n.running_mean == 0).all()) and bool((n.running_var - 1).abs().max() < 1e-3) for n in norms)
    return identity and any(bool(norm.bias.any()) for norm in norms)


@torch.no_grad()
def unfold_batch_norm(classifier: Classifier, images: Tensor) -> None:
    """Gives every batch norm the statistics of `images` float (B, 3, H, W), normalised; all outputs stay."""
    handles = [
        module.register_forward_pre_hook(_measure)
        for module in classifier.modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    was_training = classifier.training
    classifier.eval()
    try:
        classifier(images)
    finally:
        classifier.train(was_training)
        for handle in handles:
            handle.remove()


def _measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
        return
    variance, mean = torch.var_mean(inputs[0].double(), dim=(0, 2, 3), correction=0)
    before = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() - before * norm.running_mean.double()
    norm.weight.copy_(before * torch.sqrt(variance + norm.eps))
    norm.bias.copy_(shift + before * mean)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
