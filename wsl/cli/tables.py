"""Tables on the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wsl.evaluate.result import Score, name_table


class _Output(Console):
    """Standard output whose reader may go away (`wsl check DATA | head`): that is not an error."""

    def on_broken_pipe(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)


def console() -> Console:
    """Standard output. Off a terminal lines are never cut: 200 columns, no colours."""
    out = _Output()
    return out if out.is_terminal else _Output(width=200)


def print_scores(scores: Sequence[Score]) -> None:
    """One row per score, one row per class where classes have an IoU, then how each was counted."""
    out = console()
    if not scores:
        out.print("Nothing to score: the images have no labels, masks or boxes.")
        return
    notes = list(dict.fromkeys(_conventions(score) for score in scores))
    certain = [show_interval(score) for score in scores]
    headers = ("result", "value", *(["interval"] if any(certain) else []), "threshold", "note")
    table = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for score, interval in zip(scores, certain, strict=True):
        note = str(notes.index(_conventions(score)) + 1)
        cells = [interval] if any(certain) else []
        table.add_row(escape(score.name), _number(score.value), *cells, escape(_threshold(score.threshold)), note)
    out.print(table)
    by_class = class_table(scores)
    if by_class is not None:
        out.print()
        out.print(by_class)
    out.print()
    for line in _left_out(scores):
        out.print(line, highlight=False)
    if any(certain):
        how = next(score.interval for score in scores if score.interval)
        out.print(f"interval: {100 * how['level']:g} %, {how['replicates']} samples, {how['method']}", highlight=False)
    for number, note in enumerate(notes, start=1):
        out.print(f"note {number}: {note}", highlight=False, markup=False, soft_wrap=True)


def class_table(scores: Sequence[Score], measure: str = "iou") -> Table | None:
    """IoU of each class, one column per result; None when no score has it."""
    shown = [score for score in scores if any(measure in values for values in score.per_class.values())]
    if not shown:
        return None
    names = list(dict.fromkeys(name for score in shown for name in score.per_class))
    columns: list[str] = []
    for score in shown:
        columns.append(name_table(replace(score, name=score.name.removesuffix(" mIoU")), columns))
    table = Table("IoU by class", *map(escape, columns), box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_row(escape(name), *[_number(score.per_class.get(name, {}).get(measure)) for score in shown])
    return table


def show_interval(score: Score) -> str:
    """ "0.412 to 0.498", "" without an interval."""
    interval = score.interval
    return "" if interval is None else f"{interval['low']:.3f} to {interval['high']:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _threshold(threshold: dict[str, Any] | None) -> str:
    """ "0.31 (oracle)", "0.34 (label_free otsu, 0.002 below the oracle)"."""
    if threshold is None:
        return ""
    rule, gap = threshold.get("label-free rule"), threshold.get("gap to oracle")
    origin = f"{threshold['provenance']} {rule}" if rule else str(threshold["provenance"])
    if gap is not None:
        origin += f", {gap:.3f} below the oracle"
    value, background = threshold.get("value"), threshold.get("background")
    if value is None:
        return origin
    return f"{value:g} ({origin})" if background is None else f"{value:g}, background {background:g} ({origin})"


def _left_out(scores: Sequence[Score]) -> list[str]:
    """What the folders did not hold, told once."""
    keys = ("images without prediction", "predictions without ground truth")
    most = {key: max((score.counts.get(key, 0) for score in scores), default=0) for key in keys}
    return [f"{count} {key}" for key, count in most.items() if count]


def _conventions(score: Score) -> str:
    return "; ".join([score.protocol, *(f"{key}: {value}" for key, value in score.conventions.items())])
