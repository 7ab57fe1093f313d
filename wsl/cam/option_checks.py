"""Checks of the options of CAM methods, whose names are those of the settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, get_args, get_type_hints

from wsl.errors import ConfigError


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf


# What a field of this type takes, in words, and the check.
_KINDS: dict[type, tuple[str, Callable[[Any], bool]]] = {
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    float: ("a finite number", _is_finite),
    str: ("a text", lambda value: isinstance(value, str)),
    NoneType: ("null", lambda value: value is None),
}


def check_types(name: str, method: type, options: Mapping[str, Any]) -> None:
    """Raises ConfigError unless each option of the method called `name` has the type of its field.

    bool is no number, a whole number may stand for a float, NaN and inf for none; a field of any other type than bool,
    int, float, str and `... | None` takes everything.
    """
    hints = get_type_hints(method) if options else {}
    for option, value in options.items():
        kinds = [_KINDS.get(each) for each in get_args(hints[option]) or (hints[option],)]
        known = [kind for kind in kinds if kind is not None]
        if len(known) < len(kinds) or any(fits(value) for _, fits in known):
            continue
        words = " or ".join(word for word, _ in known)
        raise ConfigError(f"cam.method={name}: expected {option} to be {words}, but got {value!r}.")


def check_count(value: int, name: str) -> None:
    """Raises ConfigError unless the option is a whole number above 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"cam.options.{name}: expected a whole number above 0, but got {value!r}.")


def check_positive(value: float, name: str) -> None:
    """Raises ConfigError unless the option is a number above 0."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
        raise ConfigError(f"cam.options.{name}: expected a number above 0, but got {value!r}.")
