"""Work spread over processes: bounded memory, results in the order of the items."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from wsl.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")
FEW = 8  # items per process below which starting processes would take longer than the work


def map_in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, *, few: int = FEW
) -> Iterator[Result]:
    """`work(item)` of each item, in order, from `workers` processes; in this one for 0 or 1 workers or few items.

    `work` and the items must be picklable. At most four items per process are under way, so memory does not grow with
    their number. An exception of `work` is raised here. ConfigError when a process is ended from outside.
    """
    if workers <= 1 or len(items) < few * workers:
        yield from map(work, items)
        return
    # Fresh processes, not forks: a fork of a process that has used torch's threads may hang.
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
            yield from _windowed(pool, work, items, window=4 * workers)
    except BrokenProcessPool:
        raise ConfigError(
            f"workers={workers}: a worker process was ended from outside, most likely for lack of memory; what is done "
            "is kept: run again with workers=1."
        ) from None


def _windowed(
    pool: ProcessPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item], window: int
) -> Iterator[Result]:
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(pool.submit(work, item))
        if len(pending) >= window:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _one_thread() -> None:
    """Each process keeps to one core; without this, libraries start as many threads as there are cores in each."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    import cv2

    cv2.setNumThreads(1)
