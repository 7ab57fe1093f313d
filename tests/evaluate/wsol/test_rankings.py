from __future__ import annotations

import json
from pathlib import Path

import pytest

from wsl.errors import DataError
from wsl.evaluate.wsol.metadata import WsolMetadata
from wsl.evaluate.wsol.rankings import read_rankings

METADATA = WsolMetadata(Path("meta"), ("a.jpg", "b.jpg"), {"a.jpg": 1, "b.jpg": 2}, {}, {}, {}, ())


def test_labels_from_0_become_class_ids_from_1(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("b.jpg,0\na.jpg,4,0,2\n")
    (tmp_path / "r.json").write_text(json.dumps({"a.jpg": [4, 0, 2], "b.jpg": [0]}))
    expected = {"a.jpg": (5, 1, 3), "b.jpg": (1,)}
    assert read_rankings(tmp_path / "r.csv", METADATA) == read_rankings(tmp_path / "r.json", METADATA) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.csv", "a.jpg", "line 1: expected an image id and at least one label"),
        ("r.csv", "a.jpg,1\na.jpg,2", r"line 2: image 'a\.jpg' has two lines"),
        ("r.csv", "a.jpg,1,1", "line 1: expected different labels"),
        ("r.csv", "a.jpg,cat", "line 1: expected a whole number from 0, but got 'cat'"),
        ("r.csv", "c.jpg,1", r"line 1: image 'c\.jpg' is not in image_ids\.txt"),
        ("r.csv", "a.jpg,1", r"no ranking for 1 of 2 images, the first is 'b\.jpg'"),
        ("r.json", "[1]", "expected a JSON object"),
        ("r.json", '{"a.jpg": 1}', "expected a list of labels from 0, but got 1"),
        ("r.json", '{"a.jpg": [true]}', "expected a list of labels from 0"),
        ("r.json", '{"a.jpg": [2, 2]}', "expected different labels"),
        ("r.json", '{"c.jpg": [2]}', r"image 'c\.jpg' is not in image_ids\.txt"),
        ("r.json", '{"b.jpg": [2]}', "no ranking for 1 of 2 images"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_rankings(tmp_path / name, METADATA)
