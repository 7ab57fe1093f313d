"""The first principal component of a map's channels, from the smaller of its two Gram matrices."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDING = 1e-14  # per row of a kernel matrix, whose values are at most 1: what centring leaves of a constant map


def compute_first_component(values: Tensor) -> Tensor:
    """Each position's coordinate on the first principal axis of the channels: (C, h, w) -> float32 (h, w).

    X (S, C) holds the S = h * w positions, centred per channel. With X = U s V^T the result is X v_1 = s_1 u_1: u_1 is
    the first eigenvector of X X^T (S, S), v_1 of X^T X (C, C); the smaller one is decomposed, in double precision. Its
    sign is arbitrary, see `turn_to_mean`. Constant maps give zeros, maps with NaN or infinity give NaN.
    """
    points = _points(values)
    points = points - points.mean(0)
    if len(points) <= points.shape[1]:
        size, vector = top_eigenvector(points @ points.T)
        found = vector * size.sqrt()
    else:
        found = points @ top_eigenvector(points.T @ points)[1]
    return found.reshape(values.shape[1:]).to(values.device, torch.float32)


def compute_first_kernel_component(values: Tensor, gamma: float | None = None) -> Tensor:
    """The same on the axis that the sigmoid kernel tanh(gamma <x, y> + 1) spans: (C, h, w) -> float32 (h, w).

    gamma: None = 1 / C. The kernel matrix (S, S) of the centred positions is centred in turn; the coordinates are its
    first eigenvector times the root of the eigenvalue. Memory grows with the square of h * w: 8 bytes times S * S.
    """
    points = _points(values)
    points = points - points.mean(0)
    kernel = ((1 / points.shape[1] if gamma is None else gamma) * (points @ points.T) + 1).tanh()
    kernel = kernel - kernel.mean(0, keepdim=True) - kernel.mean(1, keepdim=True) + kernel.mean()
    size, vector = top_eigenvector(kernel)
    size = torch.where(size <= ROUNDING * len(kernel), torch.zeros_like(size), size)
    return (vector * size.sqrt()).reshape(values.shape[1:]).to(values.device, torch.float32)


def top_eigenvector(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Largest eigenvalue (not below 0) and its unit vector (n,) of a symmetric (n, n); NaN where it is not finite."""
    finite = torch.isfinite(matrix).all()
    sizes, vectors = torch.linalg.eigh(torch.where(finite, matrix, torch.zeros_like(matrix)))
    unknown = torch.where(finite, 0.0, torch.nan)
    return sizes[-1].clamp_min(0), vectors[:, -1] + unknown


def turn_to_mean(component: Tensor, values: Tensor) -> Tensor:
    """`component` (h, w) with the sign that correlates with the mean channel of `values` (C, h, w).

    Where it does not correlate at all, the position farthest from zero becomes positive.
    """
    mean = values.mean(0)
    agreement = (component * (mean - mean.mean())).sum()
    farthest = component.flatten()[component.abs().argmax()]
    return torch.where(torch.where(agreement == 0, farthest, agreement) < 0, -component, component)


def _points(values: Tensor) -> Tensor:
    """(C, h, w) -> float64 (h * w, C), on the CPU where the device has no doubles."""
    return (values.cpu() if values.device.type == "mps" else values).double().flatten(1).T
