"""ROAD: remove pixels so that nothing tells which are missing, and see what the class score does.

Rong et al., A Consistent and Efficient Evaluation Strategy for Attribution Methods, ICML 2022: every removed pixel is
the weighted mean of its eight neighbours (1/6 beside, 1/12 across a corner; those outside the image left out), removed
ones included, which is one sparse linear system; then a little noise. Removed are the most relevant pixels first (MoRF)
or the least relevant first (LeRF).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

from wsl.checks import check_image
from wsl.errors import ConfigError, DataError
from wsl.evaluate.faithfulness.maps import Images, Values, choose_counts
from wsl.types import Image, Mask

NOISE = 0.01  # standard deviation as a share of the 255 levels, as in the authors' code
BESIDE, ACROSS = 1 / 6, 1 / 12
KNOWN, OUTSIDE = -1, -2
NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))
Floats = NDArray[np.float64]


def make_removals(
    image: Image, order: NDArray[np.intp], percentages: Sequence[float], noise: float = NOISE, seed: int = 0
) -> Images:
    """The image without the first p per cent of `order`, for each p: float32 (P, H, W, 3) in [0, 255].

    order: flat pixel indices (H * W,), the first to be removed first. The same seed gives the same noise.
    """
    check_image(image)
    check_percentages(percentages)
    if order.shape != (image.shape[0] * image.shape[1],):
        raise DataError(f"order: expected {image.shape[0] * image.shape[1]} pixels, but got {order.shape}.")
    generator = np.random.default_rng(seed)
    images = np.empty((len(percentages), *image.shape), np.float32)
    for row, count in enumerate(choose_counts(len(order), np.array(percentages) / 100)):
        removed = np.zeros(len(order), np.bool_)
        removed[order[:count]] = True
        images[row] = impute(image, removed.reshape(image.shape[:2]), noise, generator)
    return images


def check_percentages(percentages: Sequence[float]) -> None:
    """Raises ConfigError unless there are some, all above 0 and below 100."""
    if not percentages or not all(0 < value < 100 for value in percentages):
        raise ConfigError(f"percentages: expected values above 0 and below 100, but got {tuple(percentages)}.")


def impute(
    image: Image, removed: Mask, noise: float = NOISE, generator: np.random.Generator | None = None
) -> NDArray[np.float32]:
    """The image with its `removed` pixels bool (H, W) imputed: float32 (H, W, 3) in [0, 255].

    noise: standard deviation of the Gaussian noise on imputed pixels as a share of 255; the result is clipped.
    generator: of the noise; None = seed 0. DataError when all pixels are removed.
    """
    check_image(image)
    if removed.shape != image.shape[:2] or removed.all():
        raise DataError(
            f"removed: expected a mask of {image.shape[:2]} that leaves at least one pixel, but got {removed.shape} "
            f"with {int(removed.sum())} set."
        )
    filled = image.astype(np.float64)
    if removed.any():
        values = solve_removed(filled, removed)
        generator = np.random.default_rng(0) if generator is None else generator
        filled[removed] = values + noise * 255 * generator.standard_normal(values.shape)
    return np.clip(filled, 0, 255).astype(np.float32)


def solve_removed(image: Floats, removed: Mask) -> Floats:
    """Values float64 (R, 3) of the R removed pixels in reading order that equal the mean of their neighbours."""
    rows, columns, weights, right, total = _assemble(image, removed)
    count = len(total)
    diagonal = np.arange(count)
    entries = np.concatenate([-weights, total])
    places = (np.concatenate([rows, diagonal]), np.concatenate([columns, diagonal]))
    matrix = coo_array((entries, places), shape=(count, count)).tocsc()
    # Symmetric and diagonally dominant: no pivoting, an order made for such matrices, no padding to dense blocks; all
    # this takes about half the time of the defaults.
    options = {"SymmetricMode": True}
    factors = splu(matrix, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, relax=1, panel_size=1, options=options)
    return np.asarray(factors.solve(right), np.float64)


def _assemble(image: Floats, removed: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, Floats, Floats]:
    """Row, column and weight of every pair of removed neighbours; right side (R, 3); sum of a pixel's weights (R,)."""
    y, x = np.nonzero(removed)
    number = np.full((removed.shape[0] + 2, removed.shape[1] + 2), OUTSIDE, np.intp)
    number[1:-1, 1:-1] = KNOWN
    number[y + 1, x + 1] = np.arange(len(y))
    right, total = np.zeros((len(y), 3)), np.zeros(len(y))
    pairs: list[tuple[NDArray[np.intp], NDArray[np.intp], Floats]] = []
    for dy, dx in NEIGHBOURS:
        weight = BESIDE if 0 in (dy, dx) else ACROSS
        neighbour = number[y + 1 + dy, x + 1 + dx]
        total += weight * (neighbour != OUTSIDE)
        known = np.flatnonzero(neighbour == KNOWN)
        right[known] += weight * image[y[known] + dy, x[known] + dx]
        row = np.flatnonzero(neighbour >= 0)
        pairs.append((row, neighbour[row], np.full(len(row), weight)))
    rows, columns, weights = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return rows, columns, weights, right, total


def compute_road(before: float, most_first: Values, least_first: Values) -> dict[str, float]:
    """MoRF, LeRF and their combination from the class scores (P,) of the images after removal.

    Both are the mean change of the score, after - before: MoRF should be low, LeRF high. Combined is (LeRF - MoRF) / 2,
    in which `before` cancels: above 0 when the pixels that the map calls relevant are.
    """
    if most_first.shape != least_first.shape or most_first.size == 0:
        raise DataError(f"scores: expected two equal lists, but got {most_first.shape} and {least_first.shape}.")
    most, least = float(most_first.mean() - before), float(least_first.mean() - before)
    return {"ROAD MoRF": most, "ROAD LeRF": least, "ROAD": (least - most) / 2}
