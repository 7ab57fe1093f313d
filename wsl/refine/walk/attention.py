"""Affinity from the attention of a vision transformer (CLIP-ES, Lin et al. 2023; MCTformer, Xu et al. 2022)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError
from wsl.localize.components import find_components

Floats = NDArray[np.float32]


def compute_attention_affinity(attention: NDArray[Any], layers: int = 8, sinkhorn: int = 3) -> Floats:
    """Affinity float32 (N, N) of the N patch tokens, row i = where token i looks.

    attention: floating (layers, N, N) averaged over heads, or (N, N); finite, >= 0, without class tokens.
    layers: the mean of so many last layers, all of them if there are fewer; 0 = the sum of all, as MCTformer.
    sinkhorn: times that the columns, then the rows, are divided by their sums, after which the matrix is averaged with
    its transpose (CLIP-ES: 3); 0 leaves it as it is (MCTformer). It is the same for all classes: compute it once.
    Raises DataError or ConfigError for others.
    """
    _check_attention(attention)
    for name, value in (("layers", layers), ("sinkhorn", sinkhorn)):
        if not isinstance(value, int) or value < 0:
            raise ConfigError(f"{name}: expected a whole number of at least 0, but got {value}.")
    stack = np.asarray(attention, np.float32).reshape(-1, *attention.shape[-2:])
    matrix: Floats = stack[-layers:].mean(axis=0) if layers else stack.sum(axis=0)
    return _balance(matrix, sinkhorn) if sinkhorn else matrix


def _check_attention(attention: NDArray[Any]) -> None:
    square = attention.ndim in (2, 3) and attention.shape[-1] == attention.shape[-2] and attention.size > 0
    if not square or not np.issubdtype(attention.dtype, np.floating):
        raise DataError(f"attention: expected floating (layers, N, N), but got {attention.dtype} {attention.shape}.")
    if not np.isfinite(attention).all() or attention.min() < 0:
        raise DataError("attention: expected finite values of at least 0 (after the softmax).")


def _balance(matrix: Floats, rounds: int) -> Floats:
    for _ in range(rounds):
        for axis in (0, 1):
            sums = matrix.sum(axis=axis, keepdims=True)
            matrix = matrix / np.where(sums > 0, sums, np.float32(1))
    return (matrix + matrix.T) / 2


def find_token_grid(tokens: int, size: tuple[int, int]) -> tuple[int, int]:
    """(h, w) with h * w = tokens for an image of `size` (height, width).

    Tried in turn: square patches of any whole size that cover the image (the last ones padded, or cut off), then a
    square grid (an image that was resized to a square). DataError when none fits.
    """
    height, width = size
    for patch in range(1, max(size) + 1):
        for grid in ((-(-height // patch), -(-width // patch)), (height // patch, width // patch)):
            if grid[0] * grid[1] == tokens:
                return grid
    side = round(tokens**0.5)
    if side * side == tokens:
        return side, side
    raise DataError(
        f"attention: {tokens} tokens fit neither patches of an image of {height}x{width} nor a square; "
        "take the class tokens out first."
    )


def spread_attention(vectors: NDArray[Any], matrix: NDArray[Any], steps: int = 2) -> Floats:
    """matrix^steps v for every plane v: float32 (K, h, w), the matrix (N, N) taken once for all classes, h * w = N.

    The power itself is never formed: CLIP-ES squares the matrix, which is the same as two steps.
    """
    if vectors.shape[1] * vectors.shape[2] != len(matrix):
        raise DataError(f"vectors: expected {len(matrix)} cells, one for each token, but got {vectors.shape}.")
    columns = np.asarray(vectors, np.float32).reshape(len(vectors), -1).T
    for _ in range(steps):
        columns = matrix @ columns
    return np.ascontiguousarray(columns.T, np.float32).reshape(vectors.shape)


def mask_boxes(planes: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """bool (K, h, w): the boxes around the 8-connected parts of each plane above threshold * its maximum (CLIP-ES)."""
    masks = np.zeros(planes.shape, np.bool_)
    for plane, mask in zip(planes, masks, strict=True):
        _, stats = find_components(plane > threshold * plane.max())
        for x, y, width, height, _ in stats.tolist():
            mask[y : y + height, x : x + width] = True
    return masks
