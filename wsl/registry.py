"""Name -> implementation, with listing and a suggestion for a misspelt name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from wsl.errors import ConfigError, suggest

T = TypeVar("T")


class Registry(Generic[T]):
    """The implementations of one seam of the pipeline; method name = file name = registry name = config value."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that files a function or class under `name`."""

        def file_it(entry: T) -> T:
            self._entries[name] = entry
            return entry

        return file_it

    def get(self, name: str) -> T:
        """The entry of that name; ConfigError with the nearest name when there is none."""
        if name not in self._entries:
            raise ConfigError(f"Unknown {self.kind} '{name}'.{suggest(name, self._entries)}")
        return self._entries[name]

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._entries)

    def in_order(self) -> list[str]:
        """All names in the order in which they were registered."""
        return list(self._entries)


def check_option_names(setting: str, method: Any, options: Iterable[str]) -> None:
    """Raises ConfigError with the nearest name for an option that `method`, a dataclass, has no field for.

    setting: how the user chose the method, such as "cam.method=layer_cam".
    """
    known = [field.name for field in dataclasses.fields(method)]
    for option in options:
        if option not in known:
            hint = suggest(option, known) if known else " It has no options."
            raise ConfigError(f"{setting}: unknown option '{option}'.{hint}")
