"""Attention methods with loops and whole matrix products, from a list of attention matrices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def attend(module: nn.MultiheadAttention, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Self-attention of one image, tokens (T, C) -> (output (T, C), attention (heads, T, T)), number by number."""
    count, channels = tokens.shape
    width = channels // module.num_heads
    weight, bias = module.in_proj_weight, module.in_proj_bias
    query, key, value = (
        tokens @ weight[part * channels : (part + 1) * channels].T + bias[part * channels : (part + 1) * channels]
        for part in range(3)
    )
    attention = tokens.new_zeros(module.num_heads, count, count)
    mixed = tokens.new_zeros(count, channels)
    for head in range(module.num_heads):
        own = slice(head * width, (head + 1) * width)
        for i in range(count):
            scores = torch.stack([(query[i, own] * key[j, own]).sum() / width**0.5 for j in range(count)])
            attention[head, i] = scores.exp() / scores.exp().sum()
            mixed[i, own] = sum(attention[head, i, j] * value[j, own] for j in range(count))
    return mixed @ module.out_proj.weight.T + module.out_proj.bias, attention


def roll_out(attention: Sequence[Tensor], heads: str = "mean", discard: float = 0.0) -> Tensor:
    """(heads, T, T) per block -> the whole rollout (T, T)."""
    count = attention[0].shape[1]
    result = torch.eye(count)
    for block in attention:
        joined = torch.zeros(count, count)
        for i in range(count):
            for j in range(count):
                values = [float(block[head, i, j]) for head in range(len(block))]
                joined[i, j] = {"mean": sum(values) / len(values), "max": max(values), "min": min(values)}[heads]
        for flat in sorted(range(count * count), key=lambda at: float(joined[at // count, at % count]))[
            : int(count * count * discard)
        ]:
            joined[flat // count, flat % count] = 0
        mixed = (joined + torch.eye(count)) / 2
        for i in range(count):
            mixed[i] = mixed[i] / mixed[i].sum()
        result = mixed @ result
    return result


def propagate(attention: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Chefer's relevance (T, T) of one class: attention and gradients (heads, T, T) per block."""
    count = attention[0].shape[1]
    relevance = torch.eye(count)
    for block, gradient in zip(attention, gradients, strict=True):
        mean = torch.zeros(count, count)
        for head in range(len(block)):
            mean += (block[head] * gradient[head]).clamp(min=0) / len(block)
        relevance = relevance + mean @ relevance
    return relevance


def le_grad(gradients: Sequence[Tensor]) -> Tensor:
    """(heads, T, T) per block, each of the head's score on that block's tokens -> (T,)."""
    total = torch.zeros(gradients[0].shape[2])
    for gradient in gradients:
        heads, queries, keys = gradient.shape
        for key in range(keys):
            positive = [max(0.0, float(gradient[h, q, key])) for h in range(heads) for q in range(queries)]
            total[key] += sum(positive) / len(positive) / len(gradients)
    return total
