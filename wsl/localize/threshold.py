"""Where a score map is cut into object and background: the value above which (strictly) a pixel is object."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_scores
from wsl.errors import ConfigError, DataError
from wsl.registry import Registry
from wsl.types import Mask, Scores

OTSU_LEVELS = 256


def check_score_map(score_map: NDArray[np.floating], name: str = "score map") -> None:
    """Raises DataError unless `score_map` is a finite floating (H, W) array with at least one pixel."""
    if score_map.ndim != 2 or score_map.size == 0:
        raise DataError(f"{name}: expected floating (H, W) with at least one pixel, but got {score_map.shape}.")
    check_scores(score_map[None], name)


def _fixed(score_map: Scores, value: float) -> float:
    return value


def _relative(score_map: Scores, value: float) -> float:
    return value * float(score_map.max())


def _percentile(score_map: Scores, value: float) -> float:
    return float(np.percentile(score_map, value))


def _otsu(score_map: Scores, value: float) -> float:
    low, high = float(score_map.min()), float(score_map.max())
    if low == high:
        return high
    levels = ((score_map.astype(np.float64) - low) / (high - low) * (OTSU_LEVELS - 1)).astype(np.uint8)
    counts = np.bincount(levels.ravel(), minlength=OTSU_LEVELS).astype(np.float64)
    share = np.cumsum(counts) / counts.sum()
    weighted = np.cumsum(counts * np.arange(OTSU_LEVELS)) / counts.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (weighted[-1] * share - weighted) ** 2 / (share * (1 - share))
    best = int(np.argmax(np.where(np.isfinite(between[:-1]), between[:-1], -1.0)))
    return float(score_map[levels <= best].max())


ThresholdRule = Callable[[Scores, float], float]
THRESHOLD_RULES: Registry[ThresholdRule] = Registry("threshold rule")
THRESHOLD_RULES.register("fixed")(_fixed)
THRESHOLD_RULES.register("relative")(_relative)
THRESHOLD_RULES.register("percentile")(_percentile)
THRESHOLD_RULES.register("otsu")(_otsu)

_HIGHEST = {"fixed": 1.0, "relative": 1.0, "percentile": 100.0}


def check_threshold(rule: str, value: float) -> None:
    """Raises ConfigError for an unknown rule or a value out of its range (0..1, percentile 0..100)."""
    THRESHOLD_RULES.get(rule)
    if rule in _HIGHEST and not 0 <= value <= _HIGHEST[rule]:
        raise ConfigError(f"threshold rule '{rule}': expected a value in [0, {_HIGHEST[rule]:g}], but got {value}.")


def compute_threshold(score_map: NDArray[np.floating], rule: str = "relative", value: float = 0.2) -> float:
    """The threshold of one map: object is `score_map > threshold`, compared in float32, so ties are background.

    score_map: floating (H, W), finite, in [0, 1]. Rules:
    `fixed`: `value` itself, in [0, 1];
    `relative`: `value` times the map's maximum, value in [0, 1];
    `percentile`: the value below which `value` per cent of the pixels lie (linear interpolation), 0..100;
    `otsu`: the split of 256 levels between the map's minimum and maximum with the largest between-class variance
    (Otsu 1979, eq. 18); the result is the largest score of the lower class, `value` is not used. A constant map
    cannot be split: its own value is returned, so that nothing is above it.
    Raises ConfigError for the rule or value, DataError for the map.
    """
    check_threshold(rule, value)
    check_score_map(score_map)
    return float(np.float32(THRESHOLD_RULES.get(rule)(score_map.astype(np.float32, copy=False), value)))


def threshold_mask(score_map: NDArray[np.floating], threshold: float) -> Mask:
    """bool (H, W): `score_map > threshold`, both in float32."""
    mask: Mask = score_map.astype(np.float32, copy=False) > np.float32(threshold)
    return mask
