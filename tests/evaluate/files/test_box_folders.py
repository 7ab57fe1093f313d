from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as PilImage

from wsl.data.reader import Dataset, open_dataset
from wsl.errors import DataError
from wsl.evaluate.files.box_folders import evaluate_boxes
from wsl.evaluate.files.options import EvaluateOptions
from wsl.evaluate.result import Score
from wsl.types import Box, ClassSet, Instance, Sample

CLASSES = ClassSet(("cat", "dog"))
SIDES = ("xmin", "ymin", "xmax", "ymax")


@pytest.fixture(autouse=True)
def in_image_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("images"))


def write_image(image_id: str, height: int = 60, width: int = 60) -> Path:
    path = Path(f"{image_id}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.new("L", (width, height)).save(path)
    return path


def make_dataset(format: str = "voc", ids: tuple[str, ...] = ("a", "b/0012")) -> Dataset:
    boxes = (Box((0, 0, 40, 40), 1), Box((10, 10, 50, 50), 2))
    samples = tuple(
        Sample(image_id, write_image(image_id), (box.class_id,), (Instance(box.class_id, box),))
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


def write_xml(path: Path, name: str, corners: tuple[int, ...], size: tuple[int, int]) -> None:
    sides = "".join(f"<{side}>{value}</{side}>" for side, value in zip(SIDES, corners, strict=True))
    declared = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>"
    path.write_text(f"<a>{declared}<object><name>{name}</name><bndbox>{sides}</bndbox></object></a>")


def test_xml_boxes_of_another_size_are_scaled_as_the_truth_is(tmp_path: Path) -> None:
    write_boxes(tmp_path, "a", ([0, 0, 40, 40], 1))
    (tmp_path / "b").mkdir()
    write_xml(tmp_path / "b" / "0012.xml", "dog", (21, 21, 100, 100), (120, 120))
    scores = score_file(tmp_path, make_dataset())
    assert values_of(scores)["box AP"] == values_of(scores)["CorLoc"] == 1.0
    assert scores[0].counts["boxes scaled to their image"] == 1
    write_xml(tmp_path / "b" / "0012.xml", "dog", (21, 21, 100, 100), (120, 150))
    with pytest.raises(DataError, match=r"0012\.xml: its annotation is for an image of 120x150, but it is 60x60"):
        score_file(tmp_path, make_dataset())


def test_json_boxes_must_be_of_their_image(tmp_path: Path) -> None:
    write_boxes(tmp_path, "b/0012")
    path = tmp_path / "a.json"
    box = {"xyxy": [50, 50, 70, 70], "class_id": 1}
    for content, message in (
        ({"size": [60, 80], "boxes": []}, "its boxes are for an image of 60x80, but the image is 60x60"),
        ({"boxes": [box | {"xyxy": [60, 0, 70, 9]}]}, "box 0: .* lies outside of the image of 60x60"),
        ({"image_id": "b/0012", "boxes": []}, "expected image_id 'a' as the file is called, but got 'b/0012'"),
        ({"image_id": 12, "boxes": []}, "expected image_id 'a' as the file is called, but got 12"),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(DataError, match=rf"a\.json: {message}"):
            score_file(tmp_path, make_dataset())
    path.write_text(json.dumps({"image_id": "a", "boxes": [box]}))
    assert "boxes scaled to their image" not in score_file(tmp_path, make_dataset())[0].counts


def test_real_annotations_of_resized_images_meet_themselves(real_data: Path) -> None:
    """The images are 416x416, the annotations are for 200x200."""
    root = real_data / "data" / "neu_det"
    dataset = open_dataset(root)
    part = replace(dataset, samples=dataset.samples[::30])
    scores = score_file(root / "Annotations", part)
    assert values_of(scores)["CorLoc"] == values_of(scores)["BoxAcc any@0.7"] == 1.0
    assert scores[0].counts["boxes scaled to their image"] == sum(len(each.instances) for each in part.samples)


def test_a_crowd_is_difficult_for_voc(tmp_path: Path) -> None:
    box = Box((0, 0, 40, 40), 1)
    sample = Sample("a", write_image("a"), (1,), (Instance(1, box, crowd=True), Instance(1, Box((50, 50, 60, 60), 1))))
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
        ({"bbox": [60, 0, 9, 9]}, "result 1: .* lies outside of the image of 60x60"),
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
