"""Runs and evaluations on disk, as the comparison reads them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.resampling import Resampling
from wsl.evaluate.certainty.run_difference import RunRow, compare_tables
from wsl.evaluate.certainty.table_files import read_tables
from wsl.evaluate.certainty.tables import ImageTable
from wsl.evaluate.result import JSON_NAME, read_about
from wsl.files import write_bytes

CLASSES = "classes"  # key of `about`: names by class id, the background's first
COLUMNS = (
    *("score", "class", "run", "value", "seeds", "std over seeds", "difference", "low", "high", "p", "corrected p"),
    *("significant", "test", "images"),
)


@dataclass(frozen=True)
class StoredRun:
    """Per-image tables of one run by score, and the class names by id ([] where unknown)."""

    name: str
    tables: Mapping[str, ImageTable]
    classes: tuple[str, ...]


def read_run(path: Path, name: str) -> StoredRun:
    """The run folder, or folder of an evaluation, at `path`; DataError when it holds no scores with tables."""
    folder = path / "scores" if (path / "scores" / JSON_NAME).is_file() else path
    if not (folder / JSON_NAME).is_file():
        raise DataError(f"{path}: expected a run folder or the --output of wsl evaluate, but there is no {JSON_NAME}.")
    tables = read_tables(folder)
    if not tables:
        raise DataError(f"{folder}: its scores have no per-image tables; evaluate it again with this version of wsl.")
    return StoredRun(name, tables, tuple(read_about(folder).get(CLASSES, ())))


def list_scored_images(path: Path) -> set[str]:
    """The images that the scores in a folder are of, as far as its tables tell."""
    return {image_id for table in read_tables(path).values() for image_id in table.image_ids}


def read_groups(targets: Sequence[str]) -> list[StoredRun]:
    """The runs of command-line words: each word a run, or several with commas that differ in the seed alone.

    A run is called by its folder; where two folders have one name, by the whole path.
    """
    groups = [[Path(part) for part in target.split(",") if part] for target in targets]
    paths = [path.resolve() for group in groups for path in group]
    twice = sorted({str(path) for path in paths if paths.count(path) > 1})
    if twice:
        raise ConfigError(f"{twice[0]}: the same run is named twice; give runs that differ.")
    short = [group[0].resolve().name for group in groups if group]
    if len(groups) < 2 or not all(groups):
        raise ConfigError(f"Expected two or more runs to compare, but got {' '.join(targets)}.")
    names = short if len(set(short)) == len(short) else [str(group[0]) for group in groups]
    shown = [_show_group(name, len(group)) for name, group in zip(names, groups, strict=True)]
    return [read_run(path, name) for name, group in zip(shown, groups, strict=True) for path in group]


def _show_group(name: str, runs: int) -> str:
    return name if runs == 1 else f"{name}, {runs} seeds"


def compare_runs(runs: Sequence[StoredRun], resampling: Resampling, images: str = "same") -> list[RunRow]:
    """Differences of all common scores to the first run; see `compare_tables`. ConfigError for other class lists."""
    known = {run.classes for run in runs if run.classes}
    if len(known) > 1:
        raise ConfigError(f"Runs with different classes cannot be compared: {' and '.join(map(str, sorted(known)))}.")
    pairs = [(run.name, run.tables) for run in runs]
    return compare_tables(pairs, **asdict(resampling), images=images)


def name_of_class(row: RunRow, classes: Sequence[str]) -> str:
    """ "" for the whole, the class's name, or "class 3" where names are unknown."""
    if row.class_id is None:
        return ""
    return classes[row.class_id] if row.class_id < len(classes) else f"class {row.class_id}"


def write_comparison(path: Path, rows: Sequence[RunRow], classes: Sequence[str]) -> None:
    """One line per row as CSV, COLUMNS as header; empty = does not apply."""
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        pair = row.difference
        found = [pair.difference, pair.low, pair.high, pair.p_value, pair.corrected_p] if pair else [None] * 5
        ending = [row.significant, pair.test if pair else None, pair.images if pair else None]
        seeds = [row.seeds.runs, row.seeds.std]
        cells = [row.score, name_of_class(row, classes), row.run, row.value, *seeds, *found, *ending]
        table.writerow(["" if cell is None else cell for cell in cells])
    write_bytes(path, stream.getvalue().encode())
