"""How a table that knows every threshold comes to one: given, best on the whole set, or best in each weighting."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.tables import Values
from wsl.evaluate.segmentation.confusion import check_policy

POLICIES = ("fixed:<value>", "oracle", "oracle_each")


def parse_threshold(text: str) -> float | None:
    """The value of "fixed:<value>"; None for "oracle" (best on the whole set, then kept) and "oracle_each" (chosen
    anew under each weighting, which also shows how uncertain the choice is). ConfigError for anything else."""
    start, _, rest = text.partition(":")
    if start != "fixed":
        check_policy(text, POLICIES[1:], "threshold")
        return None
    try:
        value = float(rest)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"threshold: expected one of {', '.join(POLICIES)}, but got '{text}'.")
    return value


def find_threshold(thresholds: NDArray[np.floating], value: float) -> int:
    """Position of a threshold, compared in float32; DataError when it is not among them."""
    near = np.flatnonzero(np.asarray(thresholds, np.float32) == np.float32(value))
    if not len(near):
        low, high = float(thresholds.min()), float(thresholds.max())
        raise DataError(
            f"threshold {value:g} is not in the table; expected one of its {len(thresholds)} thresholds "
            f"from {low:g} to {high:g}."
        )
    return int(near[0])


def find_threshold_below(thresholds: NDArray[np.floating], value: float) -> int:
    """Position of the last of ascending thresholds at or below `value`, in float32; DataError when all are above."""
    position = int(np.searchsorted(np.asarray(thresholds, np.float32), np.float32(value), side="right")) - 1
    if position < 0:
        raise DataError(f"threshold {value:g} is not in the table; expected at least {float(thresholds[0]):g}.")
    return position


def find_best(curve: Values) -> NDArray[np.intp]:
    """Position of the highest value on the last axis, the first on equal values; undefined ones count as lowest."""
    return np.argmax(np.where(np.isnan(curve), -1.0, curve), axis=-1)
