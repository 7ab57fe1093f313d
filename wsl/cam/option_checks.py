"""Checks of the options of CAM methods, whose names are those of the settings."""

from __future__ import annotations

from wsl.errors import ConfigError


def check_count(value: int, name: str) -> None:
    """Raises ConfigError unless the option is a whole number above 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"cam.options.{name}: expected a whole number above 0, but got {value!r}.")


def check_positive(value: float, name: str) -> None:
    """Raises ConfigError unless the option is a number above 0."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
        raise ConfigError(f"cam.options.{name}: expected a number above 0, but got {value!r}.")
