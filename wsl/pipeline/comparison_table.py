"""The result of a comparison as rows and columns: for the terminal, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MILLISECONDS = "ms per image"


@dataclass(frozen=True)
class Column:
    """One column: the name of its value in a record, its heading, and which direction is better ("" = neither)."""

    name: str
    heading: str
    better: str = ""

    @property
    def title(self) -> str:
        """Heading with an arrow."""
        return f"{self.heading} {self.better}".strip()


UP, DOWN = "↑", "↓"
MAPS = (
    Column(MILLISECONDS, "ms per image", DOWN),
    Column("MaxBoxAccV2", "MaxBoxAccV2", UP),
    Column("CorLoc", "CorLoc", UP),
    Column("CAM mIoU", "CAM mIoU", UP),
    Column("threshold", "threshold"),
    Column("refined mIoU", "refined mIoU", UP),
    Column("pointing", "pointing", UP),
    Column("energy", "energy", UP),
)
FAITHFULNESS = (
    Column("average drop", "average drop", DOWN),
    Column("increase in confidence", "increase", UP),
    Column("complexity", "complexity"),
    Column("insertion", "insertion", UP),
    Column("deletion", "deletion", DOWN),
    Column("ROAD", "ROAD", UP),
    Column("rank correlation, head", "rank, random head", DOWN),
    Column("rank correlation, network", "rank, random net", DOWN),
    Column("SSIM, head", "SSIM, random head", DOWN),
    Column("SSIM, network", "SSIM, random net", DOWN),
)
GROUPS = (MAPS, FAITHFULNESS)


@dataclass(frozen=True)
class Row:
    """One method: its values by column name, or the `reason` why it has none."""

    method: str
    options: Mapping[str, Any]
    values: Mapping[str, float | None]
    reason: str | None = None


def read_row(record: Mapping[str, Any]) -> Row:
    """The row of a method's stored record."""
    values: dict[str, float | None] = {score["name"]: score["value"] for score in record["scores"]}
    thresholds = {score["name"]: score["threshold"] for score in record["scores"]}
    if "CAM mIoU" in thresholds:
        values["threshold"] = thresholds["CAM mIoU"]["value"]
    if record["milliseconds"] is not None:
        values[MILLISECONDS] = record["milliseconds"]
    return Row(record["method"], record["options"], values, record["reason"])


def list_columns(rows: Sequence[Row]) -> list[Column]:
    """The columns that some row has: what cannot be measured on a data set is left out."""
    return [column for group in GROUPS for column in group if any(column.name in row.values for row in rows)]


def sort_rows(rows: Sequence[Row]) -> list[Row]:
    """By name, those without values last."""
    return sorted(rows, key=lambda row: (row.reason is not None, row.method))


def show_options(options: Mapping[str, Any]) -> str:
    """`channels=64, samples=8`; empty when all are the method's own."""
    return ", ".join(f"{key}={'null' if value is None else value}" for key, value in sorted(options.items()))


def show_value(column: Column, row: Row) -> str:
    """Three digits, `-` where it is not defined."""
    value = row.values.get(column.name)
    if value is None:
        return "-"
    shown = round(value, 1 if column.name == MILLISECONDS else 3) + 0.0  # -0.0 + 0.0 is 0.0
    return f"{shown:.1f}" if column.name == MILLISECONDS else f"{shown:.3f}"


def format_csv(rows: Sequence[Row]) -> str:
    """All values in full; empty cell = not measured or not defined."""
    columns = list_columns(rows)
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["method", "options", *(column.name for column in columns), "reason"])
    for row in sort_rows(rows):
        values = [row.values.get(column.name) for column in columns]
        cells = ["" if value is None else repr(value) for value in values]
        table.writerow([row.method, show_options(row.options), *cells, row.reason or ""])
    return stream.getvalue()


def format_markdown(rows: Sequence[Row], caption: Sequence[str]) -> str:
    """The caption's lines, the table, and a list of the methods that do not fit."""
    columns = list_columns(rows)
    measured = [row for row in sort_rows(rows) if row.reason is None]
    lines = [*caption, ""]
    if measured:
        lines.append(_line(["method", "options", *(column.title for column in columns)]))
        lines.append("|---|---" + "|---:" * len(columns) + "|")
        for row in measured:
            lines.append(_line([row.method, show_options(row.options), *(show_value(each, row) for each in columns)]))
        lines.append("")
    lines += [f"- `{row.method}`: {row.reason}" for row in sort_rows(rows) if row.reason is not None]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
