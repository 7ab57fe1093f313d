from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from tests.oracles.export_components import components_by_flooding
from wsl.data.ground_truth import read_ground_truth
from wsl.data.reader import open_dataset
from wsl.errors import ConfigError, DataError
from wsl.evaluate.detection.coco import evaluate_coco_json
from wsl.export import EXPORTERS
from wsl.export.coco import export_coco, iterate_annotations, write_coco_results
from wsl.export.record import ExportRecord
from wsl.export.region_masks import iterate_masks
from wsl.types import Box, ClassSet

CLASSES = ClassSet(("cat", "dog", "cow"))


def make_records(count: int = 4) -> list[ExportRecord]:
    generator = np.random.default_rng(1)
    values = np.array([0, 0, 0, 1, 2, 3, 255], np.uint8)
    sizes = [(6 + number, 9) for number in range(count)]
    return [ExportRecord(f"x/{n}", f"x/{n}.jpg", size, generator.choice(values, size)) for n, size in enumerate(sizes)]


@pytest.mark.parametrize("instances", ["components", "classes"])
def test_pycocotools_reads_the_same_masks(tmp_path: Path, instances: str) -> None:
    records = make_records()
    coco = COCO(str(export_coco(iter(records), tmp_path / "a.json", CLASSES, instances)))
    assert sorted(coco.anns) == list(range(1, len(coco.anns) + 1))
    assert [category["name"] for category in coco.loadCats([1, 2, 3])] == list(CLASSES.names)
    for number, record in enumerate(records, start=1):
        assert coco.imgs[number]["file_name"] == record.file_name
        drawn = np.zeros(record.size, np.uint8)
        for annotation in coco.imgToAnns[number]:
            mask = coco.annToMask(annotation).astype(bool)
            assert not drawn[mask].any()
            drawn[mask] = annotation["category_id"]
            assert annotation["area"] == mask.sum()
            x, y, width, height = (int(side) for side in annotation["bbox"])
            assert mask[y : y + height, x : x + width].sum() == mask.sum()
            assert mask[y].any()
            assert mask[:, x].any()
            assert mask[y + height - 1].any()
            assert mask[:, x + width - 1].any()
            assert (annotation["iscrowd"], annotation["score"]) == (0, 1.0)
        np.testing.assert_array_equal(drawn, np.where(record.label_map == 255, 0, record.label_map))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.tuples(st.integers(1, 8), st.integers(1, 8)))
def test_components_agree_with_flooding(seed: int, size: tuple[int, int]) -> None:
    label_map = np.random.default_rng(seed).choice(np.array([0, 1, 2, 255], np.uint8), size)
    found = [
        (class_id, frozenset(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True)))
        for class_id, mask in iterate_masks(label_map, "components")
    ]
    assert found == components_by_flooding(label_map)


def test_our_reader_and_scores_take_it_back(tmp_path: Path) -> None:
    records = make_records()
    for record in records:
        (tmp_path / "images" / record.file_name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / record.file_name).touch()
    path = EXPORTERS.get("coco")(records, tmp_path, CLASSES)
    assert path == tmp_path / "annotations" / "instances.json"
    dataset = open_dataset(tmp_path, format="coco")
    for record, sample in zip(records, dataset.samples, strict=True):
        expected = np.where(record.label_map == 255, 0, record.label_map)
        np.testing.assert_array_equal(read_ground_truth(sample, record.size, 3), expected)
    scores = {score.name: score.value for score in evaluate_coco_json(path, path)}
    assert scores["mask AP"] == pytest.approx(1.0)
    assert scores["box AP"] == pytest.approx(1.0)


def test_scores_come_from_the_box_that_overlaps_most(tmp_path: Path) -> None:
    label_map = np.array([[1, 1, 0, 1], [0, 0, 0, 2]], np.uint8)
    boxes = (Box((0, 0, 2, 1), 1, 0.7), Box((3, 0, 4, 2), 1, 0.4), Box((0, 0, 4, 2), 3, 0.1))
    record = ExportRecord("a", "a.jpg", (2, 4), label_map, boxes)
    export_coco([record], tmp_path / "a.json", CLASSES)
    annotations = json.loads((tmp_path / "a.json").read_text())["annotations"]
    assert [(entry["category_id"], entry["score"]) for entry in annotations] == [(1, 0.7), (1, 0.4), (2, 1.0)]


def test_boxes_alone_have_no_segmentation(tmp_path: Path) -> None:
    record = ExportRecord("a", "a.jpg", (9, 9), None, (Box((1, 2, 3.5, 6), 2, 0.25),))
    export_coco([record, ExportRecord("b", "b.jpg", (3, 3))], tmp_path / "a.json", CLASSES)
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["annotations"] == [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 2,
            "bbox": [1.0, 2.0, 2.5, 4.0],
            "area": 10.0,
            "iscrowd": 0,
            "score": 0.25,
        }
    ]
    assert [image["file_name"] for image in content["images"]] == ["a.jpg", "b.jpg"]


def test_no_records_and_the_same_bytes(tmp_path: Path) -> None:
    assert json.loads(export_coco([], tmp_path / "none.json", CLASSES).read_text())["images"] == []
    one, two = (export_coco(make_records(), tmp_path / name, CLASSES).read_bytes() for name in ("1.json", "2.json"))
    assert one == two


def test_a_bad_record_leaves_no_file(tmp_path: Path) -> None:
    bad = ExportRecord("bad", "bad.jpg", (1, 1), np.full((1, 1), 4, np.uint8))
    with pytest.raises(DataError, match="bad: expected values"):
        export_coco([*make_records(2), bad], tmp_path / "a.json", CLASSES)
    with pytest.raises(DataError, match="finite box score"):
        export_coco([ExportRecord("a", "a", (1, 1), None, (Box((0, 0, 1, 1), 1, np.nan),))], tmp_path / "a", CLASSES)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="instances: expected one of components, classes"):
        export_coco([], tmp_path / "a.json", CLASSES, "objects")


def test_results_lists(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    boxes = [Box((1, 2, 3, 5), 1, 0.5), Box((0, 0, 1, 1), 2, 0.25)]
    write_coco_results(path, [(139, boxes), ("x", []), ("y", boxes[:1])], {1: 18, 2: 44})
    assert json.loads(path.read_text()) == [
        {"image_id": 139, "category_id": 18, "bbox": [1.0, 2.0, 2.0, 3.0], "score": 0.5},
        {"image_id": 139, "category_id": 44, "bbox": [0.0, 0.0, 1.0, 1.0], "score": 0.25},
        {"image_id": "y", "category_id": 18, "bbox": [1.0, 2.0, 2.0, 3.0], "score": 0.5},
    ]
    write_coco_results(path, [(1, boxes)])
    assert [entry["category_id"] for entry in json.loads(path.read_text())] == [1, 2]
    with pytest.raises(DataError, match=r"no category for class_id 2; known are \[1\]"):
        write_coco_results(path, [(1, boxes)], {1: 1})
    write_coco_results(path, [])
    assert json.loads(path.read_text()) == []


def test_regions_carry_their_confidence_where_known(tmp_path: Path) -> None:
    label_map = np.array([[2, 0, 1], [0, 0, 0], [1, 0, 2]], np.uint8)
    record = ExportRecord("a", "a.jpg", (3, 3), label_map, confidences=(0.1, 0.2, 0.3, 0.4))
    found = list(iterate_annotations(record))
    assert [(each["category_id"], each["bbox"][:2], each["confidence"]) for each in found] == [
        (1, [2.0, 0.0], 0.1),
        (1, [0.0, 2.0], 0.2),
        (2, [0.0, 0.0], 0.3),
        (2, [2.0, 2.0], 0.4),
    ]
    assert all("confidence" not in each for each in iterate_annotations(record._replace(confidences=())))
    assert all("confidence" not in each for each in iterate_annotations(record, "classes"))


def test_regions_that_are_too_small_get_no_annotation(tmp_path: Path) -> None:
    label_map = np.zeros((4, 9), np.uint8)
    label_map[0, 0], label_map[2, 2:5], label_map[2:, 6:8], label_map[0, 8] = 1, 1, 1, 2
    record = ExportRecord("a", "a.jpg", (4, 9), label_map, confidences=(0.1, 0.2), min_pixels=3)
    content = json.loads(export_coco([record], tmp_path / "a.json", CLASSES).read_text())
    found = [(each["category_id"], each["area"], each["confidence"]) for each in content["annotations"]]
    assert found == [(1, 3, 0.1), (1, 4, 0.2)]


@pytest.mark.parametrize("confidences", [(0.5,), (0.5, 0.5, 0.5)])
def test_confidences_must_be_one_per_region(confidences: tuple[float, ...]) -> None:
    record = ExportRecord("a", "a.jpg", (1, 3), np.array([[1, 0, 1]], np.uint8), confidences=confidences)
    with pytest.raises(DataError, match=f"a: expected 2 confidences, one per region, but got {len(confidences)}"):
        list(iterate_annotations(record))
