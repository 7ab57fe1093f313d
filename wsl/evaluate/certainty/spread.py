"""Spread over seeds: how far does the score move when the same configuration is run again?

This is another question than that of a bootstrap interval. Seeds keep the images and change training; the bootstrap
keeps the trained model and changes the images. Neither holds the other, and the two must not be pooled: replicates of
three seeds are not three times as many images. Report both, or compare means over seeds image by image
(`wsl.evaluate.certainty.run_difference`), whose interval is then that of images at these very seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wsl.errors import DataError


@dataclass(frozen=True)
class Spread:
    """Mean, sample standard deviation (n - 1; None for one value), smallest and largest of `runs` values.

    None throughout when no value is defined; `undefined` counts those that were not.
    """

    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    runs: int
    undefined: int = 0


def spread(values: Sequence[float | None]) -> Spread:
    """Spread of one score over runs that differ in nothing but the seed; None or NaN are left out and counted.

    DataError without a value.
    """
    if not values:
        raise DataError("spread: expected the score of at least one run, but got none.")
    defined = [float(value) for value in values if value is not None and not math.isnan(value)]
    undefined = len(values) - len(defined)
    if not defined:
        return Spread(None, None, None, None, 0, undefined)
    mean = math.fsum(defined) / len(defined)
    return Spread(mean, _sample_std(defined, mean), min(defined), max(defined), len(defined), undefined)


def _sample_std(values: list[float], mean: float) -> float | None:
    if len(values) < 2:
        return None
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
