from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wsl.errors import DataError
from wsl.evaluate.files.box_files import read_box_file
from wsl.types import Box, ClassSet

ENTRY = {"xyxy": [1, 2, 3.5, 4], "class_id": 2, "class": "dog", "score": 0.25}
CLASSES = ClassSet(("cat", "dog"))


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_reads_the_boxes_in_their_order(tmp_path: Path) -> None:
    content = {"image_id": "a", "size": [9, 9], "boxes": [ENTRY, {"xyxy": [0, 0, 1, 1], "class_id": 1}]}
    path = write(tmp_path / "a.json", content)
    found = read_box_file(path, CLASSES)
    assert (found.image_id, found.size) == ("a", (9, 9))
    assert found.boxes == [Box((1.0, 2.0, 3.5, 4.0), 2, 0.25), Box((0.0, 0.0, 1.0, 1.0), 1, 1.0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected a JSON object with the list 'boxes'"),
        ({"boxes": {}}, "expected a JSON object with the list 'boxes'"),
        ({"boxes": [3]}, "box 0: expected a JSON object, but got int"),
        ({"boxes": [ENTRY | {"xyxy": [1, 2, 3]}]}, "box 0: expected 'xyxy'"),
        ({"boxes": [ENTRY | {"xyxy": [1, 2, 3, float("nan")]}]}, "box 0: expected 'xyxy'"),
        ({"boxes": [ENTRY | {"xyxy": [3, 2, 1, 4]}]}, "expected x1 <= x2 and y1 <= y2"),
        ({"size": [9, 9], "boxes": [ENTRY | {"xyxy": [9, 0, 12, 4]}]}, "lies outside of the image of 9x9"),
        ({"size": [9, 9], "boxes": [ENTRY | {"xyxy": [1, -5, 2, 0]}]}, "lies outside of the image of 9x9"),
        ({"size": [9], "boxes": []}, r"expected 'size' as \[height, width\]"),
        ({"boxes": [ENTRY | {"score": float("nan")}]}, "expected a finite number as 'score'"),
        ({"boxes": [ENTRY | {"score": 10**400}]}, "expected a finite number as 'score'"),
        ({"boxes": [ENTRY | {"xyxy": [0, 0, 10**400, 4]}]}, "box 0: expected 'xyxy'"),
        ({"boxes": [ENTRY | {"score": "high"}]}, "expected a finite number as 'score'"),
        ({"boxes": [ENTRY | {"class_id": True}]}, "expected 'class_id' as a whole number"),
        ({"boxes": [ENTRY, ENTRY | {"class_id": 3}]}, r"box 1: expected class_id in 1\.\.2, but got 3"),
        ({"image_id": ["a"], "boxes": []}, "expected 'image_id' as a string or a whole number"),
        ({"boxes": [ENTRY | {"class_id": 1}]}, "class_id 1 is called 'dog' here but 'cat'"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_box_file(write(tmp_path / "a.json", content), CLASSES)


def test_broken_json_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"boxes": [')
    with pytest.raises(DataError, match=r"a\.json: expected JSON, but"):
        read_box_file(tmp_path / "a.json")
