"""Scores that are sums over images: many images at once in several processes, memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from wsl.progress import Progress
from wsl.workers import map_in_processes

CHUNK = 32  # most items per message between processes: the sums of a sweep over 80 classes are several megabytes
CHUNKS = 8  # per process where there are fewer items, so that all are busy to the end
FEW = 128  # items per process below which starting processes (a second or two) would take longer than the work


class Mergeable(Protocol):
    """Sums over images that can be joined exactly."""

    def merge(self, other: Any, /) -> None: ...


Sums = TypeVar("Sums", bound=Mergeable)
Item = TypeVar("Item")


@dataclass(frozen=True)
class _Chunk(Generic[Sums, Item]):
    """Adds some items to fresh sums; can be sent to another process when its parts can."""

    build: Callable[[], Sums]
    update: Callable[[Sums, Item], None]

    def __call__(self, items: Sequence[Item]) -> Sums:
        sums = self.build()
        for item in items:
            self.update(sums, item)
        return sums


def accumulate(
    items: Sequence[Item],
    build: Callable[[], Sums],
    update: Callable[[Sums, Item], None],
    *,
    workers: int,
    progress: Progress,
    title: str,
    few: int = FEW,
) -> Sums:
    """The sums of all `items`: `build()` makes empty ones, `update(sums, item)` adds one item.

    Where there are `few` items for each of two processes or more (at most `workers`), chunks are summed in processes
    and joined in the order of the items, so the result does not depend on `workers`; `build`, `update`, the items and
    the sums must then be picklable. The first exception of `update` is raised.
    """
    total = build()
    progress.start(title, len(items))
    try:
        workers = min(workers, len(items) // few)
        if workers <= 1:
            for item in items:
                update(total, item)
                progress.step()
            return total
        chunks = _cut(items, workers)
        for chunk, sums in zip(chunks, map_in_processes(_Chunk(build, update), chunks, workers, few=0), strict=True):
            total.merge(sums)
            progress.step(len(chunk))
        return total
    finally:
        progress.stop()


def _cut(items: Sequence[Item], workers: int) -> list[Sequence[Item]]:
    size = max(1, min(CHUNK, -(-len(items) // (CHUNKS * workers))))
    return [items[start : start + size] for start in range(0, len(items), size)]
