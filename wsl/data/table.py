"""A list of images and labels: CSV with a header, or JSONL."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsl.data.class_names import build_class_set, check_background_class, read_class_names
from wsl.data.dataset import READERS, Dataset, Problem, Reader, has_scorable_masks
from wsl.data.paths import find_inside, list_files, to_image_id
from wsl.data.split import is_declared, is_everything, split_samples
from wsl.errors import DataError, suggest
from wsl.types import ClassSet, MaskSource, Sample

_SUFFIXES = (".csv", ".tsv", ".jsonl")
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "path": ("path", "image", "file", "filename", "file_name", "image_path"),
    "labels": ("labels", "label", "classes", "class"),
    "split": ("split", "set", "subset"),
    "mask": ("mask", "mask_path", "label_map"),
}


@dataclass(frozen=True)
class _Row:
    """One line of the table; `labels` in the order written, `split` and `mask` "" where there is none."""

    line: int
    path: str
    labels: tuple[str, ...]
    split: str
    mask: str


def read_table(
    root: Path,
    *,
    split: str | None = None,
    classes: tuple[str, ...] | None = None,
    background_class: str | None = None,
    val_fraction: float = 0.2,
) -> Dataset:
    """Reads a CSV (comma, semicolon or tab; header) or JSONL table, or the only one in the folder `root`.

    Columns: path (or image, file, filename); labels (or label), several separated by ";" or "|", in JSONL a list;
    optional split; optional mask, a label map. Paths are relative to the table and must stay below its folder. No
    label, or only `background_class`, means that the image has no object. Class names come from `classes`,
    classes.txt beside the table, or the labels, sorted. The image_id is the path without suffix.

    Raises:
        DataError: no or several tables, no such column, broken text, no label at all, or no such split.
    """
    table = _find_table(root)
    problems: list[Problem] = []
    rows = _read_rows(table, problems)
    class_set, why = _find_classes(table, rows, classes, background_class)
    counts = _count_splits(rows)
    declared = split is not None and not is_everything(split) and is_declared(split, counts, table)
    samples: dict[str, Sample] = {}
    for row in rows:
        if not declared or row.split == split:
            _add_sample(table, row, class_set, samples, problems)
    chosen = [samples[image_id] for image_id in sorted(samples)]
    if split is not None and not is_everything(split) and not declared:
        chosen = split_samples(chosen, split, val_fraction)
    return Dataset(
        root=Path(root),
        format="table",
        classes=class_set,
        samples=tuple(chosen),
        problems=tuple(problems),
        single_label=all(len(set(row.labels)) <= 1 for row in rows),
        has_masks=has_scorable_masks(chosen),
        has_boxes=False,
        why=why,
        split_counts=counts,
    )


def guess_table(root: Path) -> str | None:
    """Why `root` is a table of images, or None."""
    tables = _list_tables(root)
    return f"table: {tables[0].name} found" if len(tables) == 1 else None


READERS.register("table")(Reader(order=30, guess=guess_table, read=read_table))


def _list_tables(root: Path) -> list[Path]:
    if root.is_file():
        return [root] if root.suffix.lower() in _SUFFIXES else []
    return sorted(path for suffix in _SUFFIXES for path in list_files(root, suffix))


def _find_table(root: Path) -> Path:
    tables = _list_tables(root)
    if len(tables) != 1:
        found = ", ".join(path.name for path in tables) or "none"
        raise DataError(f"{root}: expected exactly one CSV, TSV or JSONL table, but found {found}; give its path.")
    return tables[0]


def _read_rows(table: Path, problems: list[Problem]) -> list[_Row]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{table}: expected UTF-8 text, but {error}.") from None
    read = _read_jsonl if table.suffix.lower() == ".jsonl" else _read_csv
    return read(table, text, problems)


def _read_csv(table: Path, text: str, problems: list[Problem]) -> list[_Row]:
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = _find_columns(table, next(lines, []))
        rows = []
        for line in lines:
            if any(line):
                cells = {name: line[place].strip() if place < len(line) else "" for name, place in columns.items()}
                labels = tuple(label.strip() for label in re.split(r"[;|]", cells["labels"]) if label.strip())
                rows.append(_Row(lines.line_num, cells["path"], labels, cells.get("split", ""), cells.get("mask", "")))
    except csv.Error as error:
        raise DataError(f"{table}: line {lines.line_num} is not CSV: {error}.") from None
    return rows


def _find_columns(table: Path, header: list[str]) -> dict[str, int]:
    """The place of each column that is there; path and labels must be."""
    names = [name.strip().lower() for name in header]
    columns = {
        column: next(names.index(name) for name in accepted if name in names)
        for column, accepted in _COLUMNS.items()
        if set(accepted) & set(names)
    }
    for column in ("path", "labels"):
        if column not in columns:
            accepted = ", ".join(_COLUMNS[column])
            raise DataError(f"{table}: the header needs a column {column} (or {accepted}), but it is {header!s:.80}.")
    return columns


def _read_jsonl(table: Path, text: str, problems: list[Problem]) -> list[_Row]:
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                rows.append(_read_record(number, line))
            except (ValueError, RecursionError, DataError) as error:
                problems.append(Problem(table, f"line {number} is left out: {error}"))
    if not rows:
        raise DataError(f'{table}: expected lines such as {{"path": "a.jpg", "labels": ["crack"]}}, but found none.')
    return rows


def _read_record(number: int, line: str) -> _Row:
    record = json.loads(line)
    if not isinstance(record, dict):
        raise DataError(f"expected an object, but got {line:.60}")
    fields = {column: _first(record, accepted) for column, accepted in _COLUMNS.items()}
    labels = [fields["labels"]] if isinstance(fields["labels"], str) else fields["labels"]
    texts = [fields["path"], fields["split"] or "", fields["mask"] or ""]
    if not isinstance(labels, list) or not all(isinstance(text, str) for text in [*labels, *texts]):
        raise DataError(f"expected path, split and mask as text and labels as a list of names, but got {line:.80}")
    kept = tuple(label.strip() for label in labels if label.strip())
    return _Row(number, texts[0], kept, texts[1], texts[2])


def _first(record: dict[str, Any], names: Iterable[str]) -> Any:
    return next((record[name] for name in names if name in record), None)


def _find_classes(
    table: Path, rows: list[_Row], classes: tuple[str, ...] | None, background_class: str | None
) -> tuple[ClassSet, str]:
    found = {label for row in rows for label in row.labels}
    check_background_class(background_class, found)
    if classes:
        return build_class_set(classes, background_class, table), f"{len(classes)} classes as given"
    beside = read_class_names(table.parent)
    if beside:
        return build_class_set(beside[0], background_class, table), f"classes from {beside[1]}"
    return build_class_set(sorted(found), background_class, table), f"{len(found)} class names from the labels"


def _count_splits(rows: list[_Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in sorted({row.split for row in rows} - {""}):
        counts[name] = sum(row.split == name for row in rows)
    return counts


def _add_sample(
    table: Path, row: _Row, class_set: ClassSet, samples: dict[str, Sample], problems: list[Problem]
) -> None:
    """Adds the row's image to `samples`, or the reason why not to `problems`."""
    folder = table.parent
    path = table
    try:
        path = find_inside(folder, row.path)
        image_id = to_image_id(path, folder)
        if not path.is_file():
            raise DataError("there is no such image file.")
        if image_id in samples:
            raise DataError(f"its name without suffix, '{image_id}', was listed before.")
        mask = MaskSource("label_map", find_inside(folder, row.mask)) if row.mask else None
        samples[image_id] = Sample(image_id, path, _to_class_ids(row.labels, class_set), mask=mask)
    except DataError as error:
        problems.append(Problem(path, f"line {row.line}: {error}"))


def _to_class_ids(labels: Iterable[str], class_set: ClassSet) -> tuple[int, ...]:
    objects = {label for label in labels if label != class_set.background_name}
    for label in sorted(objects - set(class_set.names)):
        raise DataError(f"the label '{label}' is not in the class list.{suggest(label, class_set.names)}")
    return tuple(sorted(class_set.id_of(label) for label in objects))
