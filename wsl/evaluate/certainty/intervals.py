"""From bootstrap replicates to an interval."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from wsl.evaluate.certainty.resampling import Resampling
from wsl.evaluate.certainty.tables import Values

FEWEST_IMAGES = 3  # no interval below
MOST_UNDEFINED = 0.1  # no interval when a larger share of the replicates is undefined; a smaller one is left out

Ends = tuple[float | None, float | None]


def find_interval(
    value: float, replicates: Values, left_out: Values | None, images: int, resampling: Resampling
) -> Ends:
    """(low, high) of `replicates` (R,) around `value`; None, None where there is none (too few images,
    or too many undefined replicates).

    A replicate is undefined (NaN) when it drew no image from which the score could be had. A class that occurs in one
    or two images misses about 37 % or 14 % of the replicates: what the others say of it is no interval. `left_out`
    (J,) are the values without an image, or a group of images, each; needed for "bca" alone.
    """
    defined = np.sort(replicates[~np.isnan(replicates)])
    too_few = len(replicates) - len(defined) > MOST_UNDEFINED * len(replicates)
    if np.isnan(value) or images < FEWEST_IMAGES or too_few:
        return None, None
    tails = np.array([(1 - resampling.level) / 2, (1 + resampling.level) / 2])
    if resampling.method == "bca" and left_out is not None:
        tails = shift_tails(tails, value, defined, left_out[~np.isnan(left_out)])
    low, high = np.quantile(defined, tails)
    return float(low), float(high)


def shift_tails(tails: Values, value: float, replicates: Values, left_out: Values) -> Values:
    """The quantiles that BCa takes in place of `tails` (Efron 1987; Efron & Tibshirani 1993, eq. 14.10).

    z0 is the normal quantile of the share of `replicates` below `value` (equal ones count half), kept half a
    replicate away from 0 and 1; the acceleration is the skewness of the jackknife, 0 when no omission changes the
    value.
    """
    share = ((replicates < value).mean() + (replicates <= value).mean()) / 2
    margin = 0.5 / len(replicates)
    z0 = ndtri(np.clip(share, margin, 1 - margin))
    acceleration = compute_acceleration(left_out)
    shifted = z0 + ndtri(tails)
    spread = 1 - acceleration * shifted
    # beyond its pole the formula turns round; there the interval ends with the last replicate
    levels = ndtr(z0 + np.divide(shifted, spread, out=np.sign(shifted) * np.inf, where=spread > 0))
    result: Values = np.asarray(levels, np.float64)
    return result


def compute_acceleration(left_out: Values) -> float:
    """sum(d^3) / (6 sum(d^2)^1.5) with d the mean of the jackknife values minus each."""
    distance = left_out.mean() - left_out if len(left_out) else left_out
    scale = float((distance**2).sum()) ** 1.5
    return float((distance**3).sum()) / (6 * scale) if scale > 0 else 0.0
