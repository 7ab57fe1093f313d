"""Options with a value for each class."""

from __future__ import annotations

import math
from collections.abc import Mapping

from wsl.errors import ConfigError
from wsl.types import MAX_CLASSES


def read_class_values(name: str, values: Mapping[int, float], most: float = math.inf) -> dict[int, float]:
    """`values` by class id, int in 1..254 (digits as text will do), each a number in [0, most].

    Raises ConfigError that names the option `labels.<name>`.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"labels.{name}: expected {{class id: number}}, but got {values!r}.")
    return {_read_id(name, key): check_number(f"labels.{name}", value, most) for key, value in values.items()}


def check_number(name: str, value: float, most: float = math.inf) -> float:
    """The value; ConfigError unless it is a finite number in [0, most]."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not 0 <= value <= most:
        wanted = "of at least 0" if math.isinf(most) else f"in [0, {most:g}]"
        raise ConfigError(f"{name}: expected a number {wanted}, but got {value!r}.")
    return value


def _read_id(name: str, key: int | str) -> int:
    text = str(key)
    if not text.isdecimal() or not 1 <= int(text) <= MAX_CLASSES:
        raise ConfigError(f"labels.{name}: expected class ids in 1..{MAX_CLASSES}, but got {key!r}.")
    return int(text)
