"""Average against max pooling of the same features: which positions decide under either.

Both put the same head on the same features A (C, h, w) of a pooled classifier. With w_c the weights of a linear head,
or the gradient of class c's score with respect to the pooled vector of any other head:

    average: p_k = mean_ij A_kij,  M_c(i, j) = sum_k w_ck A_kij           Zhou et al., CVPR 2016, eq. 2
    maximum: p_k = max_ij A_kij,   M_c(i, j) = sum_k w_ck A_kij [(i, j) = argmax A_k]

so that for a linear head the mean of the first map, and the sum of the second, is the class score without its bias. The
second is the class evidence that global max pooling lets through (Oquab et al., Is object localization for free?, CVPR
2015): one position per channel, the first one where several are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.cam.method import sum_of_channels
from wsl.errors import ModelError
from wsl.models.classifier import Classifier

POOLINGS = ("average", "max")


@dataclass(frozen=True)
class Pooled:
    """`logits` (O,) of one image under one pooling and its `maps` (K, h, w), signed and raw, all float32."""

    logits: Tensor
    maps: Tensor


def compare_poolings(model: Classifier, images: Tensor, outputs: Sequence[Sequence[int]]) -> list[dict[str, Pooled]]:
    """Per image, "average" and "max" pooling of the same features.

    model: in evaluation mode. images: normalised (B, 3, H, W). outputs: per image the outputs that maps are made of.
    Raises ModelError for a classifier without a pooled head.
    """
    if not model.pooled:
        raise ModelError(
            f"Comparing poolings needs a classifier with a pooled head, but {model.name} has none: choose a network "
            "that ends in global average pooling, or a pooled head."
        )
    with torch.no_grad():
        features = model.features(images).float()
    return [
        {"average": _average(model, maps, wanted), "max": _maximum(model, maps, wanted)}
        for maps, wanted in zip(features, outputs, strict=True)
    ]


def _average(model: Classifier, features: Tensor, outputs: Sequence[int]) -> Pooled:
    logits, weights = _score(model, features.mean((1, 2)), outputs)
    return Pooled(logits, sum_of_channels(weights, features))


def _maximum(model: Classifier, features: Tensor, outputs: Sequence[int]) -> Pooled:
    values, places = features.flatten(1).max(1)
    logits, weights = _score(model, values, outputs)
    maps = weights.new_zeros(len(outputs), features[0].numel())
    maps.index_add_(1, places, weights * values)
    return Pooled(logits, maps.reshape(-1, *features.shape[1:]))


def _score(model: Classifier, pooled: Tensor, outputs: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Logits (O,) of a pooled vector (C,), and the gradients (K, C) of the wanted ones."""
    with torch.enable_grad():
        copies = pooled.expand(max(len(outputs), 1), -1).clone().requires_grad_()
        logits = model.pooled_head(copies)
        picked = torch.stack([logits[row, output] for row, output in enumerate(outputs)]) if outputs else logits[:0]
        weights = torch.autograd.grad(picked.sum(), copies)[0] if outputs else copies.detach()[:0]
    return logits[0].detach().float(), weights.float()
