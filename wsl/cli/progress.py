"""Progress bars on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import sys

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from wsl.progress import LogLines, Progress, Silent

ERRORS = Console(stderr=True)


class RichProgress:
    """A bar per stage."""

    def start(self, title: str, total: int) -> None:
        columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bars = Bars(*columns, TextColumn("{task.fields[note]}"), console=ERRORS)
        self.task = self.bars.add_task(title, total=total, note="")
        self.bars.start()

    def step(self, count: int = 1, note: str = "") -> None:
        self.bars.update(self.task, advance=count, note=note)

    def stop(self) -> None:
        self.bars.stop()


def choose_progress(quiet: bool) -> Progress:
    """Nothing when quiet, a bar on a terminal, a log line now and then elsewhere."""
    if quiet:
        return Silent()
    if not sys.stderr.isatty():
        return LogLines()
    # Log lines must pass through the console that draws the bar, or they would tear it.
    handler = RichHandler(console=ERRORS, show_time=False, show_level=False, show_path=False)
    logging.getLogger("wsl").handlers[:] = [handler]
    logging.getLogger("wsl").propagate = False
    return RichProgress()
