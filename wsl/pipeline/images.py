"""One piece of work per image, over many images: bounded memory, resume, failures recorded and never fatal.

The only place that catches every exception: an image that fails is recorded and the others go on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from wsl.errors import ConfigError, WslError
from wsl.pipeline.run_folder import Failure
from wsl.progress import Progress
from wsl.types import Sample

log = logging.getLogger("wsl")

Work = Callable[[Sample], None]


def do_images(samples: Sequence[Sample], work: Work, *, workers: int, title: str, progress: Progress) -> list[Failure]:
    """Runs `work` on every sample, in `workers` processes (0 or 1: in this one). `work` must be picklable.

    Few images are done in this process: starting others would take longer.
    """
    progress.start(title, len(samples))
    failures: list[Failure] = []
    try:
        for outcome in _outcomes(samples, work, workers):
            failures.extend([outcome] if outcome else [])
            progress.step()
    finally:
        progress.stop()
    return failures


def _outcomes(samples: Sequence[Sample], work: Work, workers: int) -> Iterator[Failure | None]:
    if workers <= 1 or len(samples) < 8 * workers:
        for sample in samples:
            yield try_image(work, sample)
        return
    # Fresh processes, not forks: a fork of a process that has used torch's threads may hang.
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
            yield from _windowed(pool, samples, work, window=4 * workers)
    except BrokenProcessPool:
        raise ConfigError(
            f"workers={workers}: a worker process was ended from outside, most likely for lack of memory; what is done "
            "is kept: run again with workers=1."
        ) from None


def _windowed(
    pool: ProcessPoolExecutor, samples: Iterable[Sample], work: Work, window: int
) -> Iterator[Failure | None]:
    """At most `window` images are under way, so memory does not grow with their number."""
    pending: set[Future[Failure | None]] = set()
    for sample in samples:
        pending.add(pool.submit(try_image, work, sample))
        if len(pending) >= window:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    yield from (future.result() for future in pending)


def _one_thread() -> None:
    """Each process keeps to one core; without this, libraries start as many threads as there are cores in each."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import cv2

    cv2.setNumThreads(1)


def try_image(work: Work, sample: Sample) -> Failure | None:
    """None when the work is done, otherwise the failure."""
    try:
        work(sample)
    except Exception as error:
        return failure_of(sample, error)
    return None


def failure_of(sample: Sample, error: Exception) -> Failure:
    """What went wrong, in one line. Errors that are not ours keep their type and go to the log with a traceback."""
    if isinstance(error, WslError):
        return Failure(sample.image_id, str(error))
    log.debug("%s failed", sample.image_id, exc_info=error)
    return Failure(sample.image_id, f"{sample.image_path}: {type(error).__name__}: {error}")


def missing(samples: Iterable[Sample], output: Callable[[str], Path]) -> list[Sample]:
    """The samples whose output file does not exist yet."""
    return [sample for sample in samples if not output(sample.image_id).exists()]
