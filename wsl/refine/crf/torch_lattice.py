"""The permutohedral lattice (Adams, Baek and Davis 2010) of a batch of images, in torch, on any device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsl.errors import ConfigError, DataError
from wsl.refine.crf.lattice import FLOOR, LARGEST_COORDINATE
from wsl.refine.crf.simplices import compute_scales
from wsl.refine.crf.vertices import MOST_BITS, Grid, fit_grid

MOST_CORNERS = 2**31 - 1


@dataclass(frozen=True, eq=False)
class TorchLattice:
    """A Gaussian over P = B * N feature vectors in B groups that do not see each other, as an operator of low cost.

    corners: int32 (P * (d + 1),), the vertices around each pixel. weights: float32 (P, d + 1), normalised as in
    `wsl.refine.crf.lattice.Lattice`. order: int32, the corners sorted by vertex; lengths: int64 (M,), how many each
    vertex has. after, before: int32 (d + 1, M), the next vertices along every axis, M where there is none.
    row_sums: float32 (P,), the filtered ones.
    Sums run over segments in a fixed order, without atomic additions, so results repeat bit by bit on one device.
    """

    corners: Tensor
    weights: Tensor
    order: Tensor
    lengths: Tensor
    after: Tensor
    before: Tensor
    row_sums: Tensor

    def filter(self, values: Tensor) -> Tensor:
        """float32 (P, C) filtered along P."""
        return self._slice(self._blur(self._splat(values)))

    def _splat(self, values: Tensor) -> Tensor:
        """float32 (M + 1, C): weighted sums of the pixels of each vertex; the last row is 0."""
        spread = (values[:, None] * self.weights[..., None]).reshape(-1, values.shape[1])
        sums = torch.segment_reduce(spread.index_select(0, self.order), "sum", lengths=self.lengths, unsafe=True)
        return torch.cat([sums, sums.new_zeros(1, sums.shape[1])])

    def _blur(self, values: Tensor) -> Tensor:
        for after, before in zip(self.after, self.before, strict=True):
            values[:-1] += 0.5 * (values.index_select(0, after) + values.index_select(0, before))
        return values

    def _slice(self, values: Tensor) -> Tensor:
        around = values.index_select(0, self.corners).reshape(*self.weights.shape, -1)
        return (around * self.weights[..., None]).sum(1)


def build_torch_lattice(features: Tensor) -> TorchLattice:
    """The lattice of float32 features (B, d, N), in units of their deviations; one lattice holds the whole batch.

    The number of the image is the top digit of a vertex's key, so images share nothing but the call. As in
    `build_lattice` the zero vector's vertices are there where N is no multiple of 4.
    Raises ConfigError or DataError where coordinates, keys or corners are too many for float32, int64 or int32.
    """
    batch, dimension, pixels = features.shape
    if batch * (pixels + 1) * (dimension + 1) > MOST_CORNERS:
        raise DataError(f"A batch of {batch} images of {pixels} pixels is too large for one lattice; make it smaller.")
    grid = _fit(features)
    padded = torch.nn.functional.pad(features, (0, 1)) if pixels % 4 else features
    steps, ranks, weights = _find_simplices(padded.movedim(1, 0))
    keys = _make_keys(steps, ranks, grid)
    known, corners = torch.unique(keys, return_inverse=True)
    after, before = _link(known, grid)
    corners = corners[:, :pixels].reshape(-1)
    weights = weights.movedim(0, -1)[:, :pixels].reshape(-1, dimension + 1)
    return _normalise(corners, weights, after, before)


def _fit(features: Tensor) -> Grid:
    ends = torch.stack([features.amin((0, 2)), features.amax((0, 2))], 1)
    if not bool(torch.isfinite(ends).all()):
        raise DataError("features: expected finite values, but got NaN or inf.")
    grid = fit_grid(ends.cpu().numpy())
    if grid.largest > LARGEST_COORDINATE or grid.bits + len(features).bit_length() > MOST_BITS:
        name = "sxy" if grid.widest < 2 else "schan"
        raise ConfigError(f"{name} is too small for the torch backend: use a larger value or backend=auto.")
    return grid


def _find_simplices(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(steps int64 (d, ...), ranks int64 (d + 1, ...), weights float32 (d + 1, ...)); see `Simplices`."""
    elevated = _elevate(features)
    corners = len(elevated)
    steps = torch.round(elevated * (1 / corners))
    ranks = _rank(elevated - steps * corners) + steps.sum(0).long()
    moved = (ranks < 0).long() - (ranks >= corners).long()
    ranks += moved * corners
    steps += moved
    rests = (elevated - steps * corners) * (1 / corners)
    ordered = torch.empty_like(rests).scatter_(0, ranks, rests)
    weights = torch.cat([(ordered[-1] + (1 - ordered[0]))[None], (ordered[:-1] - ordered[1:]).flip(0)])
    return steps[:-1].long(), ranks, weights


def _elevate(features: Tensor) -> Tensor:
    scales = torch.from_numpy(compute_scales(len(features))).to(features.device)
    scaled = features * scales.reshape(-1, *[1] * (features.ndim - 1))
    total, planes = torch.zeros_like(scaled[0]), []
    for axis in range(len(features), 0, -1):
        planes.append(total - axis * scaled[axis - 1])
        total = total + scaled[axis - 1]
    return torch.stack([total, *planes[::-1]])


def _rank(rests: Tensor) -> Tensor:
    ranks = torch.zeros(rests.shape, dtype=torch.int64, device=rests.device)
    for first in range(len(rests)):
        for second in range(first + 1, len(rests)):
            below = rests[first] < rests[second]
            ranks[first] += below
            ranks[second] += ~below
    return ranks


def _make_keys(steps: Tensor, ranks: Tensor, grid: Grid) -> Tensor:
    """int64 (B, N, d + 1): image and the grid's key of each corner as one number."""
    dimension, batch = steps.shape[:2]
    images = torch.arange(batch, device=steps.device)[:, None] * grid.volume - grid.origin
    base = images.expand(steps.shape[1:]).clone()
    for own, stride in zip(steps, grid.strides, strict=False):
        base += own * stride
    keys = torch.empty((*base.shape, dimension + 1), dtype=torch.int64, device=steps.device)
    for corner in range(dimension + 1):
        keys[..., corner] = base + corner
        for own, stride in zip(ranks[:-1], grid.strides, strict=False):
            keys[..., corner] -= (own > dimension - corner) * stride
    return keys


def _link(keys: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """(after, before) of sorted keys: +1 in all coordinates, which is a step in the one that then loses d + 1."""
    corners, vertices = len(grid.strides), len(keys)
    following = torch.where(keys % corners == corners - 1, sum(grid.strides) - (corners - 1), 1)
    after = torch.full((corners, vertices), vertices, dtype=torch.int32, device=keys.device)
    before = torch.full((corners, vertices + 1), vertices, dtype=torch.int32, device=keys.device)
    numbers = torch.arange(vertices, dtype=torch.int32, device=keys.device)
    for axis, stride in enumerate(grid.strides):
        wanted = keys + following - stride
        place = torch.searchsorted(keys, wanted).clamp_(max=vertices - 1)
        after[axis] = torch.where(keys[place] == wanted, place, vertices)
        before[axis].scatter_(0, after[axis].long(), numbers)
    return after, before[:, :-1].contiguous()


def _normalise(corners: Tensor, weights: Tensor, after: Tensor, before: Tensor) -> TorchLattice:
    order = torch.argsort(corners, stable=True).to(torch.int32)
    lengths = torch.bincount(corners, minlength=after.shape[1])
    ones = torch.ones((len(weights), 1), device=weights.device)
    gain = 1 / (1 + 2.0 ** -(len(after) - 1))

    def make(weights: Tensor, row_sums: Tensor) -> TorchLattice:
        return TorchLattice(corners.to(torch.int32), weights, order, lengths, after, before, row_sums)

    norm = (gain * make(weights, ones[:, 0]).filter(ones) + float(FLOOR)).rsqrt()
    weights = weights * (gain**0.5 * norm)
    return make(weights, make(weights, ones[:, 0]).filter(ones)[:, 0])
