"""Weightings of the images: drawn with replacement, left out in turn, exchanged between two runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError
from wsl.evaluate.certainty.tables import Values
from wsl.evaluate.segmentation.confusion import check_policy

METHODS = ("percentile", "bca")
OMISSIONS = 1000  # at most so many weightings that leave images out
_BLOCK, _CELLS = 256, 1 << 23  # replicates, and weights (64 MiB), that are held at once
_DRAWS, _SWAPS = 0, 1  # two streams of random numbers of one seed


@dataclass(frozen=True)
class Resampling:
    """How intervals and tests are computed: the number of replicates, the level of the interval in (0, 1), the seed,
    and the method: "percentile" (Efron 1979) or "bca" (bias-corrected and accelerated, Efron 1987)."""

    replicates: int = 1000
    level: float = 0.95
    seed: int = 0
    method: str = "percentile"

    def __post_init__(self) -> None:
        check_policy(self.method, METHODS, "method")
        if self.replicates < 1 or self.seed < 0:
            raise ConfigError(
                f"Expected replicates of at least 1 and a seed of at least 0, but got {self.replicates}, {self.seed}."
            )
        if not 0 < self.level < 1:
            raise ConfigError(f"level: expected a value in (0, 1), but got {self.level}.")


def iterate_draws(images: int, resampling: Resampling) -> Iterator[Values]:
    """How often each image is drawn: float64 (b, images), `replicates` lines in all, each with the sum `images`.

    One stream of random numbers gives the lines in order, so the blocks do not show in the result.
    """
    generator = np.random.default_rng([resampling.seed, _DRAWS])
    for count in _split(resampling.replicates, images):
        drawn = generator.integers(0, images, (count, images)) + np.arange(count)[:, None] * images
        times = np.bincount(drawn.ravel(), minlength=count * images)
        yield times.reshape(count, images).astype(np.float64)


def iterate_swaps(images: int, resampling: Resampling) -> Iterator[Values]:
    """Which images are exchanged, each with probability 1/2: float64 0 or 1 (b, images), `replicates` lines in all."""
    generator = np.random.default_rng([resampling.seed, _SWAPS])
    for count in _split(resampling.replicates, images):
        yield generator.integers(0, 2, (count, images)).astype(np.float64)


def iterate_omissions(images: int) -> Iterator[Values]:
    """Weightings 0 or 1 that leave out one image after the other, float64 (b, images).

    Above `OMISSIONS` images are left out in that many groups of nearly equal size, every so manieth image together:
    the acceleration of a BCa interval is estimated as well from groups, at a bounded cost.
    """
    groups = min(images, OMISSIONS)
    group = np.arange(images) % groups
    start = 0
    for count in _split(groups, images):
        yield (group[None] != np.arange(start, start + count)[:, None]).astype(np.float64)
        start += count


def replicate(measure: Callable[[Values], Values], weightings: Iterator[Values]) -> NDArray[np.float64]:
    """`measure` (b, images) -> (b, K) of all weightings: float64 (replicates, K)."""
    return np.concatenate([measure(weights) for weights in weightings])


def _split(total: int, images: int) -> Iterator[int]:
    block = max(1, min(_BLOCK, _CELLS // images))
    for start in range(0, total, block):
        yield min(block, total - start)
