"""Gradient CAM methods by loops over channels and positions, derivatives by differences, one call for every method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsl.cam.method import build_method
from wsl.cam.targets import Target
from wsl.cam.trace import Trace
from wsl.models.classifier import Classifier

Array = NDArray[Any]
Score = Callable[[Array], float]


def maps_of(
    name: str, model: Classifier, images: Tensor, targets: Sequence[Sequence[Target]], layer: str | None = None,
    **options: Any,
) -> list[Tensor]:  # fmt: skip
    """The method's signed maps (K_b, h, w) of every image."""
    method = build_method(name, **options)
    return method.compute_maps(Trace(model, images, (layer,), method.needs), layer, targets)


def normal(*shape: int, seed: int = 5) -> Tensor:
    """Normal numbers of a fixed seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def positions(values: Array) -> list[tuple[int, int]]:
    """All (row, column) of (C, h, w)."""
    return list(product(range(values.shape[1]), range(values.shape[2])))


def weighted_sum(weights: Sequence[float], activation: Array) -> Array:
    """sum_k w_k A_k."""
    found = np.zeros(activation.shape[1:])
    for weight, channel in zip(weights, activation, strict=True):
        found += weight * channel
    return found


def grad_cam(activation: Array, gradient: Array) -> Array:
    """Mean gradient of a channel."""
    return weighted_sum([sum(g[at] for at in positions(activation)) / g.size for g in gradient], activation)


def grad_cam_plus_plus(activation: Array, gradient: Array, normalise: bool = False) -> Array:
    """The fraction as it is printed in the paper."""
    weights = []
    for a, g in zip(activation, gradient, strict=True):
        total, alphas = sum(a[at] for at in positions(activation)), {}
        for at in positions(activation):
            denominator = 2 * g[at] ** 2 + total * g[at] ** 3
            alphas[at] = g[at] ** 2 / denominator if denominator != 0 and g[at] > 0 else 0.0
        share = sum(alphas.values()) if normalise else 1.0
        weights.append(sum(alpha * max(g[at], 0.0) for at, alpha in alphas.items()) / (share or 1.0))
    return weighted_sum(weights, activation)


def smooth_grad_cam_plus_plus(activation: Array, gradients: Sequence[Array]) -> Array:
    """Gradients of the noisy copies, activation of the clean image."""
    weights = []
    for k, a in enumerate(activation):
        total, weight = sum(a[at] for at in positions(activation)), 0.0
        for at in positions(activation):
            first, second, third = (sum(g[k][at] ** power for g in gradients) / len(gradients) for power in (1, 2, 3))
            denominator = 2 * second + total * third
            weight += second / denominator * max(first, 0.0) if denominator != 0 else 0.0
        weights.append(weight)
    return weighted_sum(weights, activation)


def xgrad_cam(activation: Array, gradient: Array) -> Array:
    """Gradient weighted by the channel's own activation."""
    weights = []
    for a, g in zip(activation, gradient, strict=True):
        total = sum(a[at] for at in positions(activation))
        weights.append(sum(g[at] * a[at] for at in positions(activation)) / total if total else 0.0)
    return weighted_sum(weights, activation)


def per_position(activation: Array, gradient: Array, formula: Callable[[float, float], float]) -> Array:
    """sum_k formula(A, g) at every position."""
    found = np.zeros(activation.shape[1:])
    for a, g in zip(activation, gradient, strict=True):
        for at in positions(activation):
            found[at] += formula(a[at], g[at])
    return found


def gradient_by_differences(score: Score, activation: Array, step: float = 1e-5) -> Array:
    """(C, h, w) float64 -> d score / d activation, by central differences."""
    found = np.zeros_like(activation)
    for at in np.ndindex(*activation.shape):
        up, down = activation.copy(), activation.copy()
        up[at] += step
        down[at] -= step
        found[at] = (score(up) - score(down)) / (2 * step)
    return found


def hessian_product_by_differences(score: Score, activation: Array, step: float = 1e-4) -> Array:
    """(C, h, w) float64 -> H A: how the gradient changes along the activation itself."""
    ahead = gradient_by_differences(score, activation * (1 + step))
    behind = gradient_by_differences(score, activation * (1 - step))
    return (ahead - behind) / (2 * step)


def full_grad(products: Sequence[Array], size: tuple[int, int]) -> Array:
    """psi of every term (C, h, w), channel by channel at the size of the input."""
    found = np.zeros(size)
    for each in products:
        values = np.abs(each)
        low, high = values.min(), values.max()
        for channel in values:
            if high > low:
                found += resize_aligned((channel - low) / (high - low), size)
    return found


def resize_aligned(values: Array, size: tuple[int, int]) -> Array:
    """Bilinear, the corners' centres on the corners' centres."""
    found = np.zeros(size)
    for y, x in np.ndindex(*size):
        v = y * (values.shape[0] - 1) / max(size[0] - 1, 1)
        u = x * (values.shape[1] - 1) / max(size[1] - 1, 1)
        top, left = min(int(v), values.shape[0] - 1), min(int(u), values.shape[1] - 1)
        bottom, right = min(top + 1, values.shape[0] - 1), min(left + 1, values.shape[1] - 1)
        down, across = v - top, u - left
        above = values[top, left] * (1 - across) + values[top, right] * across
        below = values[bottom, left] * (1 - across) + values[bottom, right] * across
        found[y, x] = above * (1 - down) + below * down
    return found
