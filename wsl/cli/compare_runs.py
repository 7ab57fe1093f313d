"""`wsl compare RUN RUN ...`: differences of finished runs with intervals. Nothing heavy at import."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wsl.errors import ConfigError, suggest

if TYPE_CHECKING:
    from rich.table import Table

    from wsl.evaluate.certainty.resampling import Resampling
    from wsl.evaluate.certainty.run_difference import RunRow
    from wsl.evaluate.certainty.run_files import StoredRun

DONE = 0


def compare_finished_runs(options: argparse.Namespace) -> int:
    """Reads the per-image tables of the runs, prints the differences, writes them as CSV if asked for."""
    from wsl.cli.tables import console
    from wsl.evaluate.certainty.resampling import Resampling
    from wsl.evaluate.certainty.run_files import compare_runs, read_groups, write_comparison

    runs = read_groups(options.overrides)
    resampling = Resampling(options.replicates, options.level, method=options.interval_method)
    rows = compare_runs(_choose(runs, options.score), resampling, options.images)
    classes = next((run.classes for run in runs if run.classes), ())
    if options.output:
        write_comparison(Path(options.output), rows, classes)
    out = console()
    out.print(_whole_table(rows))
    shown: list[list[tuple[object, ...]]] = []
    for score in dict.fromkeys(row.score for row in rows):
        table, content = _class_table(rows, score, classes), _class_rows(rows, score)
        if table is not None and content not in shown:  # the classes of mIoU and of its foreground are the same
            shown.append(content)
            out.print()
            out.print(table)
    out.print()
    for line in _explain(rows, resampling):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    return DONE


def _choose(runs: Sequence[StoredRun], scores: Sequence[str]) -> list[StoredRun]:
    """The runs with these scores alone, all for none; ConfigError for a score that a run does not have."""
    for run in runs:
        for score in scores:
            if score not in run.tables:
                raise ConfigError(f"--score: {run.name} has no table of '{score}'.{suggest(score, run.tables)}")
    if not scores:
        return list(runs)
    return [replace(run, tables={score: run.tables[score] for score in scores}) for run in runs]


def _whole_table(rows: Sequence[RunRow]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("score", "run", "value", "difference", "interval", "p", "", box=None, pad_edge=False)
    last = None
    for row in rows:
        if row.class_id is None:
            table.add_row(
                escape(row.score) if row.score != last else "", escape(row.run), _value(row), *_difference(row)
            )
            last = row.score
    return table


def _class_rows(rows: Sequence[RunRow], score: str) -> list[tuple[object, ...]]:
    mine = [row for row in rows if row.score == score and row.class_id is not None]
    return [(row.class_id, row.run, row.value, _difference(row)) for row in mine]


def _class_table(rows: Sequence[RunRow], score: str, classes: Sequence[str]) -> Table | None:
    """Classes of one score; None when it has none."""
    from rich.markup import escape
    from rich.table import Table

    from wsl.evaluate.certainty.run_files import name_of_class

    mine = [row for row in rows if row.score == score and row.class_id is not None and row.value is not None]
    if not mine:
        return None
    table = Table(
        f"{escape(score)}, class", "run", "value", "difference", "interval", "p", "", box=None, pad_edge=False
    )
    last = None
    for row in sorted(mine, key=lambda row: row.class_id or 0):
        name = name_of_class(row, classes)
        table.add_row(escape(name) if name != last else "", escape(row.run), _value(row), *_difference(row))
        last = name
    return table


def _value(row: RunRow) -> str:
    if row.value is None:
        return "-"
    return f"{row.value:.3f}" if row.seeds.std is None else f"{row.value:.3f} ± {row.seeds.std:.3f}"


def _difference(row: RunRow) -> tuple[str, str, str, str]:
    found = row.difference
    if found is None or found.difference is None:
        return "", "", "", ""
    interval = "" if found.low is None or found.high is None else f"{found.low:+.3f} to {found.high:+.3f}"
    p_value = found.p_value if found.corrected_p is None else found.corrected_p
    return (
        f"{found.difference:+.3f}",
        interval,
        "" if p_value is None else f"{p_value:.3f}",
        "*" if row.significant else "",
    )


def _explain(rows: Sequence[RunRow], resampling: Resampling) -> list[str]:
    images = {row.difference.images for row in rows if row.difference is not None}
    shown = ", ".join(map(str, sorted(images)))
    lines = [
        f"Differences to the first run on the same {shown} images; {100 * resampling.level:g} % intervals from "
        f"{resampling.replicates} bootstrap samples of the images, the same for both runs.",
        "p: two-sided, images swapped between the runs (bootstrap where a score cannot be swapped), after Holm's "
        f"correction for all rows of its table; * = at most {1 - resampling.level:.2g}.",
    ]
    if any(row.seeds.std is not None for row in rows):
        lines.append("±: standard deviation over seeds. The intervals are over images at these very seeds.")
    return lines
