from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from wsl.data.class_names import VOC_CLASSES
from wsl.data.label_maps import write_label_map
from wsl.data.voc import guess_voc, read_voc
from wsl.errors import ConfigError, DataError
from wsl.types import Box, Instance, MaskSource

Boxes = list[tuple[str, tuple[int, int, int, int]]]


def write_image(root: Path, name: str, boxes: Boxes | None = (), size: tuple[int, int] = (10, 20)) -> None:  # type: ignore[assignment]
    """One image of 10x20 and its annotation with VOC's numbers; no annotation when `boxes` is None."""
    (root / "JPEGImages").mkdir(parents=True, exist_ok=True)
    (root / "Annotations").mkdir(exist_ok=True)
    PIL.Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(root / "JPEGImages" / name)
    if boxes is None:
        return
    objects = "".join(
        f"<object><name>{label}</name><difficult>{int(label == 'hard')}</difficult><bndbox><xmin>{box[0]}</xmin>"
        f"<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for label, box in boxes
    )
    frame = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>"
    path = root / "Annotations" / Path(name).with_suffix(".xml").name
    path.write_text(f"<annotation><filename>/etc/passwd</filename>{frame}{objects}</annotation>")


def write_lists(root: Path, lists: Mapping[str, str]) -> None:
    for name, content in lists.items():
        path = root / "ImageSets" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_image(tmp_path, "b.jpg", [("hole", (2, 3, 4, 5)), ("hard", (1, 1, 20, 10))])
    write_image(tmp_path, "a.png", [("crack", (1, 1, 1, 1)), ("hole", (1, 1, 2, 2))])
    write_image(tmp_path, "empty.jpg", [])
    return tmp_path


def test_samples(root: Path) -> None:
    dataset = read_voc(root)
    assert dataset.classes.names == ("crack", "hard", "hole")
    assert [sample.image_id for sample in dataset.samples] == ["a", "b", "empty"]
    first, second, empty = dataset.samples
    assert first.class_ids == (1, 3)
    assert first.image_path == root / "JPEGImages" / "a.png"
    assert second.instances == (
        Instance(3, Box((1, 2, 4, 5), 3)),
        Instance(2, Box((0, 0, 20, 10), 2, difficult=True)),
    )
    assert second.class_ids == (2, 3)
    assert (empty.class_ids, empty.instances, empty.mask) == ((), (), None)
    assert (dataset.has_boxes, dataset.has_masks, dataset.single_label) == (True, False, False)
    assert dataset.problems == ()
    assert "class names from the annotations" in dataset.why


@pytest.mark.parametrize("below", ["VOC2012", "VOCdevkit/VOC2012"])
def test_root_may_be_above(tmp_path: Path, below: str) -> None:
    write_image(tmp_path / below, "a.jpg", [("x", (1, 1, 2, 2))])
    assert guess_voc(tmp_path) == f"VOC: JPEGImages found in {below}"
    assert len(read_voc(tmp_path).samples) == 1


def test_broken_annotations_leave_out_one_image_each(root: Path) -> None:
    (root / "Annotations" / "a.xml").write_text("<annotation><object>")
    (root / "Annotations" / "empty.xml").unlink()
    dataset = read_voc(root)
    assert [sample.image_id for sample in dataset.samples] == ["b"]
    assert [problem.path.name for problem in dataset.problems] == ["a.png", "empty.jpg"]
    assert "expected an annotation in XML" in dataset.problems[0].what
    assert "neither an annotation file nor" in dataset.problems[1].what


def test_declared_splits(root: Path) -> None:
    write_lists(
        root, {"Main/train": "b 1\nempty -1\n\n", "Main/val": "a\nghost\n", "Main/hole_train": "b  1\nempty -1\n"}
    )
    train, val = read_voc(root, split="train"), read_voc(root, split="val")
    assert [sample.image_id for sample in train.samples] == ["b", "empty"]
    assert "split train from ImageSets/Main/train.txt" in train.why
    assert train.classes == val.classes  # crack only occurs in val
    assert [sample.image_id for sample in val.samples] == ["a"]
    assert "lists 'ghost'" in val.problems[0].what
    assert dict(val.split_counts) == {"train": 2, "val": 2}
    assert len(read_voc(root, split="all").samples) == 3
    with pytest.raises(DataError, match="no split 'test'; there are: train, val, all"):
        read_voc(root, split="test")


def test_segmentation_lists_come_first_and_main_can_be_named(root: Path) -> None:
    write_lists(root, {"Main/train": "a\nb\n", "Segmentation/train": "a\n"})
    assert len(read_voc(root, split="train").samples) == 1
    assert len(read_voc(root, split="Main/train").samples) == 2


def test_split_is_drawn_when_neither_train_nor_val_is_declared(root: Path) -> None:
    write_lists(root, {"Main/default": "a\nb\nempty\n"})
    for name in ("c.jpg", "d.jpg"):
        write_image(root, name, [("hole", (1, 1, 2, 2))])
    parts = [read_voc(root, split=part) for part in ("train", "val")]
    assert sum(len(part.samples) for part in parts) == 5
    assert len(parts[1].samples) == 1
    assert "drawn" in parts[0].why


def test_voc_names_give_all_twenty_in_order(tmp_path: Path) -> None:
    write_image(tmp_path, "a.jpg", [("person", (1, 1, 2, 2)), ("cat", (1, 1, 2, 2))])
    dataset = read_voc(tmp_path)
    assert dataset.classes.names == VOC_CLASSES
    assert dataset.samples[0].class_ids == (8, 15)


def test_class_list_beside_the_data_and_value_map(root: Path) -> None:
    (root / "classes.txt").write_text("background\nhole\nhard\ncrack\n")
    write = root / "SegmentationClass"
    write_label_map(write / "a.png", np.full((10, 20), 3, np.uint8))
    dataset = read_voc(root)
    assert dataset.classes.names == ("hole", "hard", "crack")
    assert dataset.samples[0].mask == MaskSource("label_map", write / "a.png")
    assert dataset.has_masks
    other = read_voc(root, classes=("crack", "hole", "hard"))
    assert other.samples[0].class_ids == (1, 2)
    mask = other.samples[0].mask
    assert mask is not None
    assert mask.value_map == {0: 0, 255: 255, 1: 2, 2: 3, 3: 1}


def test_labels_outside_of_the_class_list(root: Path) -> None:
    dataset = read_voc(root, classes=("hole", "crak"))
    assert [sample.image_id for sample in dataset.samples] == ["empty"]
    assert "'crack' is not in the class list. Did you mean: crak?" in dataset.problems[0].what


def test_background_class(root: Path) -> None:
    dataset = read_voc(root, background_class="crack")
    assert dataset.classes.names == ("hard", "hole")
    assert dataset.classes.background_name == "crack"
    assert dataset.samples[0].class_ids == (2,)
    with pytest.raises(ConfigError, match="background_class is 'x'"):
        read_voc(root, background_class="x")


def test_labels_from_label_maps_without_annotations(tmp_path: Path) -> None:
    for name, values in (("a", [0, 2, 255]), ("b", [0, 0, 0]), ("c", [0, 3, 0])):
        write_image(tmp_path, f"{name}.jpg", None)
        write_label_map(tmp_path / "SegmentationClass" / f"{name}.png", np.array([values], np.uint8))
    with pytest.raises(DataError, match=r"add a file classes\.txt"):
        read_voc(tmp_path)
    (tmp_path / "labelmap.txt").write_text("background:::\nx:::\ny:::\n")
    dataset = read_voc(tmp_path)
    assert [(sample.image_id, sample.class_ids) for sample in dataset.samples] == [("a", (2,)), ("b", ())]
    assert dataset.samples[0].instances is None
    assert not dataset.has_boxes
    assert "holds the value 3" in dataset.problems[0].what


def test_boxes_of_resized_images_are_scaled_and_it_is_said(tmp_path: Path) -> None:
    write_image(tmp_path, "a.jpg", [("x", (1, 1, 10, 5))], size=(5, 10))
    write_image(tmp_path, "b.jpg", [("x", (3, 3, 4, 4))])
    write_image(tmp_path, "c.jpg", [("x", (3, 3, 4, 4))], size=(10, 10))
    dataset = read_voc(tmp_path)
    assert [box.xyxy for sample in dataset.samples for box in sample.boxes or ()] == [(0, 0, 20, 10), (2, 2, 4, 4)]
    assert "boxes of 1 images scaled" in dataset.why
    assert [problem.path.name for problem in dataset.problems] == ["c.jpg"]
    assert dataset.declared_sizes["a"] == (10, 20)


def test_same_stem_twice(root: Path) -> None:
    write_image(root, "a.jpg", None)
    dataset = read_voc(root)
    assert len(dataset.samples) == 3
    assert "same name" in dataset.problems[0].what


def test_ids_in_lists_cannot_lead_outside(root: Path) -> None:
    write_lists(root, {"Main/train": "../../secret\na\n"})
    dataset = read_voc(root, split="train")
    assert [sample.image_id for sample in dataset.samples] == ["a"]


def test_no_voc(tmp_path: Path) -> None:
    assert guess_voc(tmp_path) is None
    with pytest.raises(DataError, match="expected a folder JPEGImages"):
        read_voc(tmp_path)
