"""Rows and columns of a comparison."""

from __future__ import annotations

import csv
import io

from wsl.pipeline.comparison_table import (
    FAITHFULNESS,
    MAPS,
    Row,
    format_csv,
    format_markdown,
    list_columns,
    read_row,
    show_options,
    show_value,
    sort_rows,
)

ROWS = (
    Row("legrad", {}, {}, "no attention | here"),
    Row("score_cam", {"channels": 64}, {"ms per image": 12.345, "ROAD": -0.0001, "CorLoc": None}),
    Row("cam", {}, {"ms per image": 1.25, "ROAD": 0.25, "CorLoc": 0.5}),
)


def record() -> dict:
    sweep = {"name": "CAM mIoU", "value": 0.5, "threshold": {"value": 0.3, "provenance": "oracle"}}
    other = {"name": "ROAD", "value": None, "threshold": None}
    return {"method": "cam", "options": {}, "milliseconds": 2.0, "reason": None, "scores": [sweep, other]}


def test_row_of_a_record() -> None:
    expected = {"CAM mIoU": 0.5, "ROAD": None, "threshold": 0.3, "ms per image": 2.0}
    assert read_row(record()) == Row("cam", {}, expected)


def test_row_of_a_method_that_does_not_fit() -> None:
    failed = record() | {"milliseconds": None, "scores": [], "reason": "no"}
    assert read_row(failed) == Row("cam", {}, {}, "no")


def test_columns_that_nothing_was_measured_for_are_left_out() -> None:
    assert [column.name for column in list_columns(ROWS)] == ["ms per image", "CorLoc", "ROAD"]
    names = [column.name for column in (*MAPS, *FAITHFULNESS)]
    assert len(set(names)) == len(names)


def test_rows_are_by_name_with_those_without_values_last() -> None:
    assert [row.method for row in sort_rows(ROWS)] == ["cam", "score_cam", "legrad"]


def test_values_as_text() -> None:
    milliseconds, corloc, road = list_columns(ROWS)
    assert [show_value(each, ROWS[1]) for each in (milliseconds, corloc, road)] == ["12.3", "-", "0.000"]
    assert show_options({"samples": 8, "channels": None}) == "channels=null, samples=8"


def test_csv_has_all_digits() -> None:
    rows = list(csv.reader(io.StringIO(format_csv(ROWS))))
    assert rows[0] == ["method", "options", "ms per image", "CorLoc", "ROAD", "reason"]
    assert rows[1] == ["cam", "", "1.25", "0.5", "0.25", ""]
    assert rows[2] == ["score_cam", "channels=64", "12.345", "", "-0.0001", ""]
    assert rows[3] == ["legrad", "", "", "", "", "no attention | here"]


def test_markdown_has_caption_table_and_reasons() -> None:
    lines = format_markdown(ROWS, ["First line.", "Second line."]).splitlines()
    assert lines[:3] == ["First line.", "Second line.", ""]
    assert lines[3] == "| method | options | ms per image ↓ | CorLoc ↑ | ROAD ↑ |"
    assert lines[4] == "|---|---|---:|---:|---:|"
    assert lines[5] == "| cam |  | 1.2 | 0.500 | 0.250 |"
    assert lines[-1] == "- `legrad`: no attention | here"


def test_markdown_without_any_value_has_no_table() -> None:
    assert format_markdown(ROWS[:1], ["Caption."]) == "Caption.\n\n- `legrad`: no attention | here\n"
