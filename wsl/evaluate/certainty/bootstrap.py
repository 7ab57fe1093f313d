"""Bootstrap intervals over images: how far would the score move with another sample of images of the same kind?

The images are drawn anew with replacement and the score of the whole set is computed from the drawn ones, so that a
score that is no mean over images (mIoU, PxAP, CorLoc, a best threshold) is treated as what it is. Images stand for
themselves: several objects of one image are drawn together. What the interval does not hold is the spread of training
itself; see `wsl.evaluate.certainty.spread`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wsl.evaluate.certainty.intervals import find_interval
from wsl.evaluate.certainty.resampling import Resampling, iterate_draws, iterate_omissions, replicate
from wsl.evaluate.certainty.tables import Measured, Values
from wsl.evaluate.result import to_optional

Measure = Callable[[Values], Values]  # weights (b, images) -> scores (b, K)


@dataclass(frozen=True)
class Interval:
    """A score and its interval: fractions, None where undefined (see `wsl.evaluate.certainty.intervals`).

    `value` is the score of the images as they are. `undefined` counts the replicates without a value.
    """

    value: float | None
    low: float | None
    high: float | None
    level: float
    replicates: int
    method: str
    images: int
    undefined: int = 0


def bootstrap(
    table: Measured, *, replicates: int = 1000, level: float = 0.95, seed: int = 0, method: str = "percentile"
) -> Interval:
    """Nonparametric bootstrap interval (Efron 1979) of a table's score.

    What is measured, and how a threshold is chosen, is set in the table (`dataclasses.replace` gives a changed one).
    Equal arguments give equal numbers. ConfigError for numbers out of range or an unknown method.
    """
    resampling = Resampling(replicates, level, seed, method)
    return _bootstrap(lambda weights: table.measure(weights)[:, None], len(table.image_ids), resampling)[0]


def bootstrap_classes(
    table: Measured, *, replicates: int = 1000, level: float = 0.95, seed: int = 0, method: str = "percentile"
) -> dict[int, Interval]:
    """The interval of each class, by class id; otherwise as `bootstrap`."""
    found = _bootstrap(table.measure_classes, len(table.image_ids), Resampling(replicates, level, seed, method))
    return dict(zip(table.class_ids, found, strict=True))


@dataclass(frozen=True, eq=False)
class Replicates:
    """`values` (K,) of the images as they are, `drawn` (R, K) of the replicates, `left_out` (J, K) for BCa."""

    values: Values
    drawn: Values
    left_out: Values | None


def draw_replicates(measure: Measure, images: int, resampling: Resampling) -> Replicates:
    """All values of K scores that intervals need."""
    left_out = replicate(measure, iterate_omissions(images)) if resampling.method == "bca" else None
    drawn = replicate(measure, iterate_draws(images, resampling))
    return Replicates(measure(np.ones((1, images)))[0], drawn, left_out)


def _bootstrap(measure: Measure, images: int, resampling: Resampling) -> list[Interval]:
    found = draw_replicates(measure, images, resampling)
    return [_make_interval(found, column, images, resampling) for column in range(len(found.values))]


def _make_interval(found: Replicates, column: int, images: int, resampling: Resampling) -> Interval:
    value, drawn = float(found.values[column]), found.drawn[:, column]
    left_out = None if found.left_out is None else found.left_out[:, column]
    low, high = find_interval(value, drawn, left_out, images, resampling)
    undefined = int(np.isnan(drawn).sum())
    return Interval(
        to_optional(value), low, high, resampling.level, resampling.replicates, resampling.method, images, undefined
    )
