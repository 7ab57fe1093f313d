from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from tests.oracles.evaluate_detection import average_precision
from wsl.data.rle import encode_mask
from wsl.errors import DataError
from wsl.evaluate.detection.coco import (
    build_coco_ground_truth,
    build_coco_results,
    compute_coco_scores,
    evaluate_coco_json,
    to_xywh,
)
from wsl.types import Box, ClassSet, Instance

CLASSES = ClassSet(("cat", "dog"))
TRUTH = {
    "images": [{"id": 5, "file_name": "a.jpg", "height": 60, "width": 80}],
    "categories": [{"id": 3, "name": "cat"}, {"id": 9, "name": "dog"}],
    "annotations": [
        {"id": 0, "image_id": 5, "category_id": 3, "bbox": [0, 0, 40, 40], "area": 1600, "iscrowd": 0},
        {"id": 1, "image_id": 5, "category_id": 9, "bbox": [50, 20, 10, 10], "area": 100, "iscrowd": 0},
    ],
}
PERFECT = [
    {"image_id": 5, "category_id": 3, "bbox": [0, 0, 40, 40], "score": 0.9},
    {"image_id": 5, "category_id": 9, "bbox": [50, 20, 10, 10], "score": 0.8},
]


def values_of(scores: list) -> dict[str, float | None]:
    return {score.name: score.value for score in scores}


def make_random_images(seed: int) -> tuple[dict[str, list[Instance]], dict[str, list[Box]]]:
    generator = np.random.default_rng(seed)
    truth: dict[str, list[Instance]] = {}
    predicted: dict[str, list[Box]] = {}
    for number in range(6):
        boxes = []
        for _ in range(generator.integers(0, 4)):
            x, y, width, height = generator.integers(5, 60, 4).tolist()
            boxes.append(Box((x, y, x + width, y + height), int(generator.integers(1, 3))))
        noisy = [
            Box(tuple(np.add(box.xyxy, generator.integers(-3, 4, 4)).tolist()), box.class_id, float(generator.random()))
            for box in boxes * 2
            if generator.random() < 0.7
        ]
        truth[f"img{number}"] = [Instance(box.class_id, box) for box in boxes]
        predicted[f"img{number}"] = noisy
    return truth, predicted


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_definition(seed: int) -> None:
    instances, predicted = make_random_images(seed)
    truth, numbers = build_coco_ground_truth(((name, (99, 99), items) for name, items in instances.items()), CLASSES)
    assert [entry["id"] for entry in truth["images"]] == list(numbers.values()) == [1, 2, 3, 4, 5, 6]
    score = compute_coco_scores(truth, build_coco_results(predicted, numbers), "bbox")[0]
    for class_id in CLASSES.ids:
        expected = [
            average_precision(
                {
                    numbers[name]: [to_xywh(item.box) for item in items if item.class_id == class_id]
                    for name, items in instances.items()
                },
                [
                    (numbers[name], box.score, to_xywh(box))
                    for name, boxes in predicted.items()
                    for box in boxes
                    if box.class_id == class_id
                ],
                iou,
            )
            for iou in np.arange(0.5, 1.0, 0.05)
        ]
        measured = score.per_class[CLASSES.name_of(class_id)]
        assert measured["ap"] == pytest.approx(np.mean(expected), abs=1e-9)
        assert measured["ap50"] == pytest.approx(expected[0], abs=1e-9)


def test_perfect_results_with_an_annotation_id_of_zero() -> None:
    before = copy.deepcopy(TRUTH)
    values = values_of(compute_coco_scores(TRUTH, PERFECT))
    assert values["box AP"] == 1.0
    assert values["box AP small"] == values["box AP medium"] == 1.0
    assert values["box AP large"] is None
    assert len(values) == 12
    assert before == TRUTH


def test_no_results_are_zero_and_no_objects_undefined(capsys: pytest.CaptureFixture[str]) -> None:
    assert values_of(compute_coco_scores(TRUTH, []))["box AP"] == 0.0
    empty = {**TRUTH, "annotations": []}
    assert values_of(compute_coco_scores(empty, PERFECT))["box AP"] is None
    assert values_of(compute_coco_scores({**empty, "images": []}, []))["box AP"] is None
    assert capsys.readouterr().out == ""


def test_a_crowd_is_neither_right_nor_wrong() -> None:
    truth = copy.deepcopy(TRUTH)
    crowd = {"id": 7, "image_id": 5, "category_id": 9, "bbox": [0, 40, 20, 20], "area": 400, "iscrowd": 1}
    truth["annotations"].append(crowd)
    on_crowd = {"image_id": 5, "category_id": 9, "bbox": [1, 41, 8, 8], "score": 1.0}
    assert values_of(compute_coco_scores(truth, [*PERFECT, on_crowd]))["box AP"] == 1.0
    assert values_of(compute_coco_scores(TRUTH, [*PERFECT, on_crowd]))["box AP"] == 0.75


def test_annotation_ids_do_not_matter_but_are_counted() -> None:
    scores = {}
    for ids in ((1, 2), (0, 1), (5, 5), ("a", None)):
        annotations = [{**entry, "id": own_id} for entry, own_id in zip(TRUTH["annotations"], ids, strict=True)]
        (scores[ids], *_) = compute_coco_scores({**TRUTH, "annotations": annotations}, PERFECT)
    assert {score.value for score in scores.values()} == {1.0}
    assert [score.counts["annotation ids renumbered"] for score in scores.values()] == [0, 1, 1, 1]


def test_ids_may_be_words_and_boxes_may_have_no_area() -> None:
    truth = {
        "images": [{"id": "b"}, {"id": 3}, {"id": "a"}],
        "categories": [{"id": "x", "name": "cat"}, {"id": 1, "name": "dog"}],
        "annotations": [
            {"image_id": "a", "category_id": "x", "bbox": [0, 0, 9, 9]},
            {"image_id": 3, "category_id": 1, "bbox": [4, 4, 0, 7]},
        ],
    }
    results = [
        {"image_id": "a", "category_id": "x", "bbox": [0, 0, 9, 9], "score": 1},
        {"image_id": "b", "category_id": "x", "bbox": [0, 0, 0, 0], "score": 0.5},
        {"image_id": 3, "category_id": 1, "bbox": [4, 4, 0, 7], "score": 1},
    ]
    score = compute_coco_scores(truth, results)[0]
    assert score.per_class == {"dog": {"ap": 0.0, "ap50": 0.0}, "cat": {"ap": 1.0, "ap50": 1.0}}
    assert "no such mark" in score.conventions["difficult"]


def test_masks() -> None:
    mask = np.zeros((60, 80), bool)
    mask[10:30, 10:50] = True
    half = mask.copy()
    half[:, 30:] = False
    truth = {**TRUTH, "annotations": [{"image_id": 5, "category_id": 3, "segmentation": encode_mask(mask)}]}
    result = {"image_id": 5, "category_id": 3, "score": 1.0, "segmentation": encode_mask(half)}
    values = values_of(compute_coco_scores(truth, [result], "segm"))
    assert (values["mask AP50"], values["mask AP75"]) == (1.0, 0.0)
    assert values["mask AP"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 6}, "result 1: image_id 6 is not among the 1 images"),
        ({"image_id": [5]}, "result 1: image_id"),
        ({"category_id": 1}, r"category_id 1 is none of \[3, 9\]"),
        ({"score": None}, "finite number as 'score'"),
        ({"score": float("nan")}, "finite number as 'score'"),
        ({"score": 10**400}, "finite number as 'score'"),
        ({"bbox": [0, 0, 1]}, "'bbox' as four finite numbers"),
        ({"bbox": [0, 0, 1, float("inf")]}, "'bbox' as four finite numbers"),
        ({"bbox": [0, 0, -1, 1]}, "result 1: expected 'bbox' as x, y, width, height with no negative side"),
    ],
)
def test_results_that_do_not_fit_are_refused(change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        compute_coco_scores(TRUTH, [{**PERFECT[0], **change}])


def test_masks_of_another_size_and_broken_ground_truth_are_refused() -> None:
    result = {**PERFECT[0], "segmentation": encode_mask(np.ones((2, 2), bool))}
    truth = {**TRUTH, "annotations": []}
    with pytest.raises(DataError, match="result 1: RLE: its size 2x2"):
        compute_coco_scores(truth, [result], "segm")
    with pytest.raises(DataError, match="masks need 'height' and 'width'"):
        compute_coco_scores({**truth, "images": [{"id": 5}]}, [result], "segm")
    with pytest.raises(DataError, match="every category to have id and name"):
        compute_coco_scores({**TRUTH, "categories": [{"id": 3}]}, [])
    with pytest.raises(DataError, match="ground truth 1: expected a number as 'area', but got None"):
        compute_coco_scores({**TRUTH, "annotations": [{**TRUTH["annotations"][0], "area": None}]}, [])
    with pytest.raises(DataError, match="1 image ids appear more than once"):
        compute_coco_scores({**TRUTH, "images": TRUTH["images"] * 2}, [])


def test_json_files(tmp_path: Path) -> None:
    paths = {}
    # as annotations: other ids, same file names and class names
    annotations = {
        "images": [{"id": 77, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [
            {**PERFECT[0], "id": 1, "image_id": 77, "category_id": 2},
            {**PERFECT[1], "id": 2, "image_id": 77, "category_id": 1},
        ],
    }
    stray = {**annotations, "images": [{"id": 77, "file_name": "b.jpg"}]}
    broken = {**TRUTH, "annotations": [TRUTH["annotations"][0], {**TRUTH["annotations"][1], "bbox": [1]}]}
    lost = {**annotations, "annotations": [annotations["annotations"][0], {**PERFECT[0], "image_id": [77]}]}
    contents = {
        "broken truth": broken,
        "lost": lost,
        "twice": {**annotations, "images": annotations["images"] * 2},
        "words": {**annotations, "images": ["a.jpg"]},
    }
    contents |= {
        "truth": TRUTH,
        "results": PERFECT,
        "annotations": annotations,
        "stray": stray,
        "bad": [{}],
        "other": 3,
    }
    for name, content in contents.items():
        paths[name] = tmp_path / f"{name}.json"
        paths[name].write_text(json.dumps(content))
    assert values_of(evaluate_coco_json(paths["results"], paths["truth"]))["box AP"] == 1.0
    assert values_of(evaluate_coco_json(paths["annotations"], paths["truth"]))["box AP"] == 1.0
    with pytest.raises(DataError, match=r"stray\.json: 1 file_name not in the ground truth, the first is 'b\.jpg'"):
        evaluate_coco_json(paths["stray"], paths["truth"])
    with pytest.raises(DataError, match=r"results\.json: boundary AP needs"):
        evaluate_coco_json(paths["results"], paths["truth"], boundary=True)
    with pytest.raises(DataError, match=r"truth\.json: ground truth 2: expected 'bbox'"):
        evaluate_coco_json(paths["results"], paths["broken truth"])
    with pytest.raises(DataError, match=r"twice\.json: expected an id of its own"):
        evaluate_coco_json(paths["twice"], paths["truth"])
    with pytest.raises(DataError, match=r"lost\.json: annotation 2: its image_id \[77\] is not in the file's own list"):
        evaluate_coco_json(paths["lost"], paths["truth"])
    with pytest.raises(DataError, match=r"words\.json: expected JSON objects in the list 'images', but got 'a\.jpg'"):
        evaluate_coco_json(paths["words"], paths["truth"])
    with pytest.raises(DataError, match=r"bad\.json: expected 'bbox' or 'segmentation'"):
        evaluate_coco_json(paths["bad"], paths["truth"])
    with pytest.raises(DataError, match=r"other\.json: expected COCO annotations"):
        evaluate_coco_json(paths["other"], paths["truth"])
