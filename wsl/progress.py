"""How long work tells that it lives. Library functions take a `Progress`; only the cli chooses which."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")
log = logging.getLogger("wsl")


class Progress(Protocol):
    """Told what begins, each step, and the end."""

    def start(self, title: str, total: int) -> None: ...

    def step(self, count: int = 1, note: str = "") -> None: ...

    def stop(self) -> None: ...


class Silent:
    """Tells nobody."""

    def start(self, title: str, total: int) -> None:
        pass

    def step(self, count: int = 1, note: str = "") -> None:
        pass

    def stop(self) -> None:
        pass


class LogLines:
    """A log line now and then, for machines without a terminal."""

    def __init__(self, every_seconds: float = 10.0) -> None:
        self.every_seconds = every_seconds

    def start(self, title: str, total: int) -> None:
        self.title, self.total, self.done = title, total, 0
        self.began = self.last = time.monotonic()

    def step(self, count: int = 1, note: str = "") -> None:
        self.done += count
        now = time.monotonic()
        if now - self.last >= self.every_seconds:
            self.last = now
            rate = self.done / (now - self.began)
            left = (self.total - self.done) / rate
            log.info("%s %d/%d, %.1f/s, %.0f s left %s", self.title, self.done, self.total, rate, left, note)

    def stop(self) -> None:
        seconds = time.monotonic() - self.began
        log.info("%s %d/%d in %.1f s", self.title, self.done, self.total, seconds)


def track(items: Iterable[T], progress: Progress, title: str, total: int) -> Iterator[T]:
    """Yields `items`, telling `progress` of each when it is finished."""
    progress.start(title, total)
    try:
        for item in items:
            yield item
            progress.step()
    finally:
        progress.stop()
