"""Name -> implementation, with listing and a suggestion for a misspelt name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

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
