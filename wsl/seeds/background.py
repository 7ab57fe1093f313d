"""The background rule: how much a pixel looks like background, given the scores of the classes of its image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_scores
from wsl.errors import ConfigError
from wsl.registry import Registry
from wsl.types import Scores

BackgroundRule = Callable[[NDArray[np.float32], float], NDArray[np.float32]]  # best class score (H, W), value
BACKGROUND_RULES: Registry[BackgroundRule] = Registry("background rule")


@BACKGROUND_RULES.register("constant")
def compute_constant(best: NDArray[np.float32], value: float) -> NDArray[np.float32]:
    """A plane of float32 `value`, in [0, 1]: a class wins where its score is above it (SEC, IRN)."""
    return np.full(best.shape, value, np.float32)


@BACKGROUND_RULES.register("power")
def compute_power(best: NDArray[np.float32], value: float) -> NDArray[np.float32]:
    """(1 - best)^value, value > 0 (PSA, eq. 2): a larger exponent gives less background, so more foreground."""
    rest = np.clip(np.float32(1) - best, np.float32(0), np.float32(1))
    return np.power(rest, np.float32(value), dtype=np.float32)


def check_background(rule: str, value: float) -> None:
    """Raises ConfigError for an unknown rule or a value outside its range."""
    BACKGROUND_RULES.get(rule)
    if rule == "constant" and not 0 <= value <= 1:
        raise ConfigError(f"background rule 'constant': expected a value in [0, 1], but got {value}.")
    if rule == "power" and not (np.isfinite(value) and value > 0):
        raise ConfigError(f"background rule 'power': expected an exponent above 0, but got {value}.")


def compute_background(scores: Scores, rule: str, value: float) -> NDArray[np.float32]:
    """Background score float32 (H, W) in [0, 1] for scores floating (K, H, W) in [0, 1].

    rule `constant` or `power` with its `value` (see those functions). K = 0: all ones, nothing but background.
    Raises ConfigError for rule or value, DataError for scores that are not finite.
    """
    check_background(rule, value)
    check_scores(scores)
    if len(scores) == 0:
        return np.ones(scores.shape[1:], np.float32)
    best: NDArray[np.float32] = scores.max(axis=0).astype(np.float32)
    return BACKGROUND_RULES.get(rule)(best, value)
