from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from wsl.errors import DataError
from wsl.evaluate.result import Score, compute_mean, describe_versions, read_about, read_scores, write_scores

SCORES = [
    Score(
        "mIoU",
        0.5,
        "one confusion matrix",
        {"absent classes": "skip"},
        {"background": {"iou": 0.75}, "a, b": {"iou": None}},
        {"images": 2},
        {"value": 0.3, "provenance": "oracle"},
        {"threshold": [0.1, 0.3], "miou": [None, 0.5]},
    ),
    Score("coverage", None, "one confusion matrix"),
]


def test_scores_come_back_from_disk(tmp_path: Path) -> None:
    write_scores(tmp_path, SCORES)
    assert read_scores(tmp_path) == SCORES
    assert list(read_scores(tmp_path)[0].per_class) == ["background", "a, b"]  # in the order of the classes


def test_files_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_scores(tmp_path / name, SCORES)
    for file in ("scores.json", "scores.csv"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_table_has_a_row_per_score_and_class(tmp_path: Path) -> None:
    write_scores(tmp_path, SCORES)
    with (tmp_path / "scores.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["score"], row["class"], row["value"], row["iou"]) for row in rows] == [
        ("mIoU", "", "0.5", ""),
        ("mIoU", "background", "", "0.75"),
        ("mIoU", "a, b", "", "None"),
        ("coverage", "", "None", ""),
    ]
    assert rows[0]["threshold"] == "0.3"
    assert rows[0]["provenance"] == "oracle"


def test_mean_leaves_out_the_undefined() -> None:
    assert compute_mean([0.5, None, float("nan"), 1.0]) == 0.75
    assert compute_mean([None]) is None


def test_an_unknown_provenance_is_refused() -> None:
    with pytest.raises(DataError, match="fixed, val, label_free, oracle, but got 'guess'"):
        Score("x", 0.1, "p", threshold={"value": 0.1, "provenance": "guess"})


def test_a_value_that_is_not_finite_is_refused() -> None:
    with pytest.raises(DataError, match="finite value or None, but got nan"):
        Score("x", float("nan"), "p")


def test_what_all_scores_have_in_common_comes_back(tmp_path: Path) -> None:
    about = {"split": "val", "versions": describe_versions()}
    write_scores(tmp_path, SCORES, about)
    assert read_about(tmp_path) == about
    assert about["versions"]["numpy"] == np.__version__


def test_files_of_the_first_format_are_still_read(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text('[{"name": "x", "value": 0.5, "protocol": "p"}]')
    assert read_scores(tmp_path) == [Score("x", 0.5, "p")]
    assert read_about(tmp_path) == {}


@pytest.mark.parametrize(
    "content",
    ['{"format": 3, "about": {}, "scores": []}', "{}", '[{"name": "x", "other": 1}]', '[{"name": "x"}]', "[1]"],
)
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "scores.json").write_text(content)
    with pytest.raises(DataError, match=r"scores\.json"):
        read_scores(tmp_path)
