from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from wsl.data.reader import Dataset
from wsl.errors import DataError
from wsl.evaluate.files.box_folders import evaluate_boxes
from wsl.evaluate.files.options import EvaluateOptions
from wsl.evaluate.result import Score
from wsl.types import Box, ClassSet, Instance, Sample

CLASSES = ClassSet(("cat", "dog"))
SIDES = ("xmin", "ymin", "xmax", "ymax")


def make_dataset(format: str = "voc", ids: tuple[str, ...] = ("a", "b/0012")) -> Dataset:
    boxes = (Box((0, 0, 40, 40), 1), Box((10, 10, 50, 50), 2))
    samples = tuple(
        Sample(image_id, Path(f"{image_id}.jpg"), (box.class_id,), (Instance(box.class_id, box),))
        for image_id, box in zip(ids, boxes, strict=True)
    )
    samples += (Sample("unknown", Path("unknown.jpg"), (1,), None),)
    return Dataset(Path("root"), format, CLASSES, samples, (), False, False, True, "made here")


def values_of(scores: list) -> dict[str, float | None]:
    return {score.name: score.value for score in scores}


def score_file(path: Path, dataset: Dataset, missing: str = "error") -> list[Score]:
    return evaluate_boxes(path, dataset, EvaluateOptions(missing=missing)).scores


def write_boxes(folder: Path, image_id: str, *boxes: tuple[list[float], int]) -> None:
    path = folder / f"{image_id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [{"xyxy": xyxy, "class_id": class_id, "score": 0.5} for xyxy, class_id in boxes]
    path.write_text(json.dumps({"image_id": image_id, "size": [60, 60], "boxes": entries}))


def test_a_folder_of_boxes(tmp_path: Path) -> None:
    write_boxes(tmp_path, "a", ([0, 0, 40, 40], 1))
    write_boxes(tmp_path, "b/0012", ([10, 10, 50, 30], 2))
    scores = score_file(tmp_path, make_dataset())
    values = values_of(scores)
    assert len(scores) == 12 + 2 + 1 + 8
    assert values["VOC AP@0.5"] == values["VOC07 AP@0.5"] == 0.5
    assert values["box AP50"] == 1.0
    assert values["box AP75"] == 0.5
    assert values["CorLoc"] == 0.5
    assert values["BoxAcc top@0.5"] == 1.0
    assert values["BoxAcc any@0.7"] == 0.5
    assert scores[0].counts["images"] == 2


def test_xml_and_json_in_one_folder(tmp_path: Path) -> None:
    write_boxes(tmp_path, "a", ([0, 0, 40, 40], 1))
    (tmp_path / "b").mkdir()
    corners = "".join(f"<{side}>{value}</{side}>" for side, value in zip(SIDES, (11, 11, 50, 50), strict=True))
    (tmp_path / "b" / "0012.xml").write_text(f"<a><object><name>dog</name><bndbox>{corners}</bndbox></object></a>")
    values = values_of(score_file(tmp_path, make_dataset()))
    assert values["box AP"] == values["VOC AP@0.5"] == values["CorLoc"] == 1.0
    write_boxes(tmp_path, "b/0012", ([10, 10, 50, 30], 2))
    with pytest.raises(DataError, match=r"are both of image 'b/0012'"):
        score_file(tmp_path, make_dataset())


def test_a_crowd_is_difficult_for_voc(tmp_path: Path) -> None:
    box = Box((0, 0, 40, 40), 1)
    sample = Sample("a", Path("a.jpg"), (1,), (Instance(1, box, crowd=True), Instance(1, Box((50, 50, 60, 60), 1))))
    write_boxes(tmp_path, "a", ([0, 0, 40, 40], 1))
    dataset = replace(make_dataset(), samples=(sample,))
    scores = {score.name: score for score in score_file(tmp_path, dataset)}
    assert scores["VOC AP@0.5"].per_class["cat"] == {"ap": 0.0, "precision": None, "recall": 0.0}
    assert scores["VOC AP@0.5"].conventions["crowd"] == "as difficult"


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no prediction for 2 of 2 images .*it holds no such file at all"):
        score_file(tmp_path, make_dataset(), "background")


def test_images_without_prediction(tmp_path: Path) -> None:
    write_boxes(tmp_path, "a", ([0, 0, 40, 40], 1))
    with pytest.raises(DataError, match="no prediction for 1 of 2 images"):
        score_file(tmp_path, make_dataset())
    assert values_of(score_file(tmp_path, make_dataset(), "background"))["CorLoc"] == 0.5
    assert values_of(score_file(tmp_path, make_dataset(), "skip"))["CorLoc"] == 1.0


def test_a_results_list_with_names_or_numbers(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    entries = [
        {"image_id": "a", "category_id": 1, "bbox": [0, 0, 40, 40], "score": 0.9},
        {"image_id": 12, "category_id": 2, "bbox": [10, 10, 40, 40], "score": 0.9},
    ]
    path.write_text(json.dumps(entries))
    assert values_of(score_file(path, make_dataset()))["box AP"] == 1.0
    with pytest.raises(DataError, match="give the annotations JSON file as ground truth"):
        score_file(path, make_dataset("coco"))
    with pytest.raises(DataError, match="result 2: image_id 12 is not an image"):
        score_file(path, make_dataset(ids=("a", "b")))
    path.write_text("[]")
    assert values_of(score_file(path, make_dataset()))["box AP"] == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"category_id": 3}, r"class_id in 1\.\.2, but got 3"),
        ({"image_id": "z"}, "'z' is not an image with ground-truth boxes"),
        ({"image_id": None}, "None is not an image"),
        ({"bbox": [1]}, "'bbox' as four numbers"),
        ({"bbox": [0, 0, -1, 2]}, "none of the sides negative"),
        ({"bbox": [0, 0, float("nan"), 2]}, "'bbox' as four numbers"),
        ({"score": "x"}, "number as 'score'"),
        ({"score": 10**400}, "finite number as 'score'"),
        ({"score": float("nan")}, "finite number as 'score'"),
    ],
)
def test_results_that_do_not_fit_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": "a", "category_id": 1, "bbox": [0, 0, 9, 9], "score": 1} | change]))
    with pytest.raises(DataError, match=message):
        score_file(path, make_dataset())


def test_numbers_that_two_images_share_are_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": 12, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 1}]))
    with pytest.raises(DataError, match="image_id 12 is not an image"):
        score_file(path, make_dataset(ids=("a/012", "b/12")))


def test_data_without_boxes_is_refused(tmp_path: Path) -> None:
    bare = Dataset(Path("root"), "folder", CLASSES, make_dataset().samples[2:], (), True, False, False, "")
    with pytest.raises(DataError, match="no boxes to score against"):
        score_file(tmp_path, bare)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(DataError, match="expected a COCO results list"):
        score_file(tmp_path / "x.json", make_dataset())
