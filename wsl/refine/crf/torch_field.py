"""A dense CRF over a batch of images of one size, in torch: the same mean field on a GPU or on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from wsl.errors import ConfigError, DataError
from wsl.refine.crf.kernels import Kernel, compute_positions
from wsl.refine.crf.torch_lattice import TorchLattice, build_torch_lattice


class TorchField:
    """Fully connected CRFs of B images; see `wsl.refine.crf.field.DenseField`, whose results it gives to 1e-3.

    features: real (B, C, H, W), finite; the computing is done on their device, in float32. kernels: those with compat
    0 are left out. One lattice per kernel holds the whole batch, and serves any number of `infer` calls. Only for
    forward use: no gradient flows through it (SEC stops it there).
    Raises DataError for bad features, ConfigError for widths that do not fit the image or the int64 keys.
    """

    @torch.no_grad()
    def __init__(self, features: Tensor, kernels: Sequence[Kernel]) -> None:
        if features.ndim != 4 or features.numel() == 0 or features.is_complex():
            raise DataError(f"features: expected real (B, C, H, W), but got {features.dtype} {tuple(features.shape)}.")
        self.batch, self.size = len(features), (features.shape[2], features.shape[3])
        self._terms = [(kernel, self._build(kernel, features.float())) for kernel in kernels if not kernel.is_idle]

    def _build(self, kernel: Kernel, features: Tensor) -> TorchLattice:
        sxy: Any = kernel.sxy
        positions = torch.from_numpy(compute_positions(self.size, sxy)).to(features.device)
        positions = positions[None].expand(self.batch, -1, -1)
        if kernel.schan is None:
            return build_torch_lattice(positions)
        widths: Any = kernel.schan
        channels = features.shape[1]
        if len(widths) not in (1, channels):
            raise ConfigError(f"schan: expected 1 or {channels} widths, as there are channels, got {len(widths)}.")
        scales = torch.tensor(widths, dtype=torch.float32, device=features.device)
        return build_torch_lattice(torch.cat([positions, features.flatten(2) / scales[:, None]], 1))

    @torch.no_grad()
    def infer(self, unary: Tensor, iterations: int = 10, *, tolerance: float = 0.0) -> Tensor:
        """Mean field Q float32 (B, L, H, W), which sums to 1 over the labels, on the device of the features.

        unary: energies (B, L, H, W), finite, L >= 1. tolerance: an image stops when the mean |dQ| of its step is below
        (0 = never; it changes labels). Bit by bit the same on repeat on one device; not so for another batch size.
        """
        energies = self._check(unary).float()
        if iterations < 0 or not tolerance >= 0:
            raise ConfigError(f"iterations, tolerance: expected at least 0, but got {iterations}, {tolerance}.")
        current = torch.softmax(-energies, 1)
        moving = torch.ones((self.batch, 1, 1, 1), dtype=torch.bool, device=energies.device)
        for _ in range(iterations if unary.shape[1] > 1 and self._terms else 0):
            following = torch.softmax(self._compute_messages(current) - energies, 1)
            if tolerance > 0:
                following = torch.where(moving, following, current)
                moving &= (following - current).abs().mean((1, 2, 3), keepdim=True) >= tolerance
                if not moving.any():
                    return following
            current = following
        return current

    def _check(self, unary: Tensor) -> Tensor:
        good = unary.ndim == 4 and (len(unary), *unary.shape[2:]) == (self.batch, *self.size) and unary.shape[1] >= 1
        if not good:
            raise DataError(
                f"unary: expected ({self.batch}, L, {self.size[0]}, {self.size[1]}), but got {tuple(unary.shape)}."
            )
        if not bool(torch.isfinite(unary).all()):
            raise DataError("unary: expected finite values, but got NaN or inf.")
        return unary

    def _compute_messages(self, current: Tensor) -> Tensor:
        """What all kernels add to the logits. Q sums to 1, so the last label follows from the others."""
        batch, labels = current.shape[:2]
        known = current[:, :-1].movedim(1, -1).reshape(-1, labels - 1)
        messages = torch.zeros_like(current)
        for kernel, lattice in self._terms:
            filtered = lattice.filter(known)
            last = lattice.row_sums - filtered.sum(1)
            planes = torch.cat([filtered, last[:, None]], 1).reshape(batch, *self.size, labels)
            if kernel.is_potts:
                planes = planes * float(torch.as_tensor(kernel.compat))
            else:
                planes = planes @ torch.from_numpy(kernel.compute_gain(labels)).to(planes.device)
            messages += planes.movedim(-1, 1)
        return messages
