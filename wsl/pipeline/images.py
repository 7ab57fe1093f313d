"""One piece of work per image, over many images: bounded memory, resume, failures recorded and never fatal.

The only place that catches every exception: an image that fails is recorded and the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from wsl.errors import WslError
from wsl.pipeline.run_folder import Failure
from wsl.progress import Progress
from wsl.types import Sample
from wsl.workers import map_in_processes

log = logging.getLogger("wsl")

Work = Callable[[Sample], None]


def do_images(samples: Sequence[Sample], work: Work, *, workers: int, title: str, progress: Progress) -> list[Failure]:
    """Runs `work` on every sample, in `workers` processes (0 or 1: in this one). `work` must be picklable.

    Few images are done in this process: starting others would take longer.
    """
    progress.start(title, len(samples))
    failures: list[Failure] = []
    try:
        for outcome in map_in_processes(partial(try_image, work), samples, workers):
            failures.extend([outcome] if outcome else [])
            progress.step()
    finally:
        progress.stop()
    return failures


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
