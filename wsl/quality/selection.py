"""Which results are kept: the most confident share of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from wsl.errors import ConfigError


def check_share(value: float, name: str) -> None:
    """Raises ConfigError unless 0 <= value <= 1."""
    if not 0 <= value <= 1:
        raise ConfigError(f"{name}: expected a number in [0, 1], but got {value}.")


def keep_best(confidences: Mapping[str, float], keep: float) -> frozenset[str]:
    """The ids of the share `keep` in [0, 1] with the highest confidence, rounded up to whole ones.

    Equal confidences are taken by rising id. ConfigError for a share outside [0, 1].
    """
    check_share(keep, "keep")
    ordered = sorted(confidences, key=lambda each: (-confidences[each], each))
    return frozenset(ordered[: math.ceil(keep * len(ordered) - 1e-9)])
