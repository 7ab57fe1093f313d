from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from wsl.data.coco import guess_coco, read_coco
from wsl.data.ground_truth import read_ground_truth
from wsl.errors import ConfigError, DataError
from wsl.types import Box

SQUARE = [[1, 1, 4, 1, 4, 4, 1, 4]]
CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 90, "name": "unused"}]


def annotation(own_id: int, image_id: Any, category_id: Any = 3, **fields: Any) -> dict[str, Any]:
    basis = {"id": own_id, "image_id": image_id, "category_id": category_id, "bbox": [1, 1, 3, 3], "iscrowd": 0}
    return {**basis, **fields}


def image(own_id: int, file_name: str, **fields: Any) -> dict[str, Any]:
    return {"id": own_id, "file_name": file_name, "height": 8, "width": 9, **fields}


def write_json(path: Path, images: list[Any], annotations: list[Any], categories: Any = CATEGORIES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def write_images(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(np.zeros((8, 9), np.uint8)).save(folder / name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_images(tmp_path / "images", "b.jpg", "sub/a.jpg", "c.jpg")
    annotations = [
        annotation(1, 5, 7, segmentation=SQUARE),
        annotation(2, 5, 3, bbox=[0.5, 1, 2, 3.25], iscrowd=1),
        annotation(3, 6, 3),
    ]
    images = [image(5, "sub/a.jpg"), image(6, "b.jpg"), image(7, "c.jpg")]
    write_json(tmp_path / "annotations" / "instances.json", images, annotations)
    return tmp_path


def test_samples(root: Path) -> None:
    dataset = read_coco(root)
    assert dataset.classes.names == ("cat", "dog", "unused")
    assert [sample.image_id for sample in dataset.samples] == ["b", "c", "sub/a"]
    sample = dataset.samples[2]
    assert sample.class_ids == (1, 2)
    assert sample.boxes == (Box((1, 1, 4, 4), 2), Box((0.5, 1, 2.5, 4.25), 1))
    assert sample.instances is not None
    assert [instance.crowd for instance in sample.instances] == [False, True]
    assert sample.instances[0].segmentation == SQUARE
    assert dataset.samples[1].class_ids == ()
    assert dataset.has_masks
    assert dataset.has_boxes
    assert dataset.problems == ()
    drawn = read_ground_truth(sample, (8, 9), 3)
    assert drawn is not None
    assert drawn[2, 2] == 2
    empty = read_ground_truth(dataset.samples[1], (8, 9), 3)
    assert empty is not None
    assert not empty.any()


def test_without_any_mask_there_is_nothing_to_draw(root: Path) -> None:
    write_json(root / "annotations" / "instances.json", [image(6, "b.jpg")], [annotation(3, 6, segmentation=[])])
    dataset = read_coco(root)
    assert dataset.samples[0].mask is None
    assert not dataset.has_masks


def test_the_json_itself_is_a_root(root: Path) -> None:
    path = root / "annotations" / "instances.json"
    assert guess_coco(path) == "COCO: instances.json found"
    assert len(read_coco(path).samples) == 3
    beside = write_json(root / "images" / "odd.json", [image(6, "b.jpg")], [])
    assert len(read_coco(beside).samples) == 1


def test_declared_splits_in_cocos_layout(tmp_path: Path) -> None:
    write_images(tmp_path / "train2017", "a.jpg", "b.jpg")
    write_images(tmp_path / "val2017", "c.jpg")
    write_json(tmp_path / "annotations" / "instances_train2017.json", [image(1, "a.jpg"), image(2, "b.jpg")], [])
    write_json(tmp_path / "annotations" / "instances_val2017.json", [image(1, "c.jpg")], [annotation(1, 1)])
    (tmp_path / "annotations" / "captions_val2017.json").write_text("{}")
    assert [sample.image_id for sample in read_coco(tmp_path, split="val").samples] == ["c"]
    assert len(read_coco(tmp_path, split="train2017").samples) == 2
    everything = read_coco(tmp_path)
    assert [sample.class_ids for sample in everything.samples] == [(), (), (1,)]
    assert dict(everything.split_counts) == {"train2017": 2, "val2017": 1}
    with pytest.raises(DataError, match="no split 'test'; there are: train, train2017, val, val2017, all"):
        read_coco(tmp_path, split="test")


def test_split_folders_with_their_own_json(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write_images(tmp_path / split, f"{split}.jpg")
        write_json(tmp_path / split / "_annotations.coco.json", [image(1, f"{split}.jpg")], [annotation(1, 1)])
    assert guess_coco(tmp_path) is not None
    assert [sample.image_id for sample in read_coco(tmp_path, split="valid").samples] == ["valid"]
    assert len(read_coco(tmp_path).samples) == 2


def test_split_is_drawn_without_declared_ones(root: Path) -> None:
    parts = [read_coco(root, split=part).samples for part in ("train", "val")]
    assert sorted(sample.image_id for part in parts for sample in part) == ["b", "c", "sub/a"]


def test_different_categories_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "images", "a.jpg", "b.jpg")
    write_json(tmp_path / "annotations" / "instances_train.json", [image(1, "a.jpg")], [])
    write_json(tmp_path / "annotations" / "instances_val.json", [image(2, "b.jpg")], [], CATEGORIES[:1])
    with pytest.raises(DataError, match="its categories differ"):
        read_coco(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"category_id": 99}, "unknown category id 99"),
        ({"category_id": [3]}, r"unknown category id \[3\]"),
        ({"bbox": [1, 1, 0, 3]}, "expected bbox"),
        ({"bbox": [1, 1, float("nan"), 3]}, "expected bbox"),
        ({"bbox": [1, 1, 3]}, "expected bbox"),
        ({"bbox": None}, "expected bbox"),
        ({"bbox": "abcd"}, "expected bbox"),
    ],
)
def test_a_broken_annotation_leaves_out_its_image(root: Path, change: dict[str, Any], message: str) -> None:
    images = [image(5, "sub/a.jpg"), image(6, "b.jpg")]
    write_json(root / "annotations" / "instances.json", images, [annotation(1, 5, **change), annotation(2, 6)])
    dataset = read_coco(root)
    assert [sample.image_id for sample in dataset.samples] == ["b"]
    assert dataset.problems[0].path == root / "images/sub/a.jpg"
    with pytest.raises(DataError, match=message):
        raise DataError(dataset.problems[0].what)


def test_strays_doubles_and_bad_names_are_recorded(root: Path) -> None:
    write_images(root / "images", "b.png")
    images = [
        *(image(6, "b.jpg"), image(6, "c.jpg"), image(7, "../outside.jpg"), image(8, "/etc/passwd")),
        *(image(9, "gone.jpg"), {"id": 10}, image(11, "b.png")),
    ]
    annotations = [annotation(1, 6), annotation(1, 6), annotation(2, 404), annotation(3, None)]
    write_json(root / "annotations" / "instances.json", images, annotations)
    dataset = read_coco(root)
    assert [sample.image_id for sample in dataset.samples] == ["b"]
    assert dataset.samples[0].instances is not None
    assert len(dataset.samples[0].instances) == 2
    said = " | ".join(problem.what for problem in dataset.problems)
    for part in (
        "image id 6 appears twice",
        "needs an id and a file_name",
        "2 annotations are of images that are not listed, first annotation 2 of image id 404",
        "1 annotations repeat the id of another",
        "'../outside.jpg' leads outside",
        "'/etc/passwd' leads outside",
        "there is no such image file",
        "'b', belongs to another image too",
    ):
        assert part in said
    assert len(dataset.problems) == 8


def test_images_of_another_size_are_left_out(root: Path) -> None:
    images = [image(6, "b.jpg", height=80), image(7, "c.jpg")]
    write_json(root / "annotations" / "instances.json", images, [annotation(1, 6)])
    dataset = read_coco(root)
    assert [sample.image_id for sample in dataset.samples] == ["c"]
    assert "it is 8x9, but its annotations are for 80x9" in dataset.problems[0].what


def test_class_list_and_background(root: Path) -> None:
    dataset = read_coco(root, classes=("dog", "cat"))
    assert dataset.samples[2].class_ids == (1, 2)
    assert dataset.samples[0].class_ids == (2,)
    dataset = read_coco(root, background_class="cat")
    assert dataset.classes.names == ("dog", "unused")
    assert [sample.class_ids for sample in dataset.samples] == [(), (), (1,)]
    dataset = read_coco(root, classes=("cat",))
    assert "'dog' is not in the class list" in dataset.problems[0].what
    with pytest.raises(ConfigError, match="background_class"):
        read_coco(root, background_class="bird")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "expected a COCO object"),
        ('{"images": [], "annotations": []}', "expected a COCO object"),
        ('{"images": [1], "annotations": [], "categories": []}', "expected objects"),
        ('{"images": [], "annotations": [], "categories": []}', "expected categories"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1}]}', "each category needs an id"),
    ],
)
def test_broken_files(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "instances.json").write_text(content)
    with pytest.raises(DataError, match=rf"instances\.json: {message}"):
        read_coco(tmp_path)


def test_no_annotations_and_no_images(tmp_path: Path) -> None:
    assert guess_coco(tmp_path) is None
    with pytest.raises(DataError, match="expected a COCO JSON file"):
        read_coco(tmp_path)
    write_json(tmp_path / "annotations" / "instances_val.json", [image(1, "a.jpg")], [])
    with pytest.raises(DataError, match=r"none of its first images was found in .*val"):
        read_coco(tmp_path)


def test_several_files_of_one_split(tmp_path: Path) -> None:
    for name in ("a_val.json", "b_val.json"):
        write_json(tmp_path / "annotations" / name, [], [])
    with pytest.raises(DataError, match=r"several files hold split 'val': a_val\.json, b_val\.json"):
        read_coco(tmp_path, split="val")
