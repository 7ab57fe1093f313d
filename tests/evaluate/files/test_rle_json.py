from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage

from wsl.data.reader import Dataset, open_dataset
from wsl.data.rle import decode_mask, encode_mask
from wsl.errors import DataError
from wsl.evaluate.files.options import EvaluateOptions
from wsl.evaluate.files.rle_folders import evaluate_masks
from wsl.evaluate.files.rle_json import ImageMasks, PredictedMask, draw_label_map, read_mask_file, read_mask_list
from wsl.evaluate.result import Score
from wsl.types import Box, ClassSet, Instance, MaskSource, Sample

CLASSES = ClassSet(("cat", "dog"))
SIZE = (20, 30)
SQUARE = [[2, 3, 12, 3, 12, 13, 2, 13]]  # x 2..11, y 3..12


def score_masks(path: Path, dataset: Dataset, missing: str = "error", boundary: bool = False) -> list[Score]:
    options = EvaluateOptions(missing=missing, boundary=boundary, metrics=("miou",))
    return evaluate_masks(path, dataset, options).scores


def make_mask(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


MASK = make_mask(3, 2, 13, 12)
ENTRY = {"segmentation": encode_mask(MASK), "class_id": 2, "class": "dog", "score": 0.5}
IMAGE = {"image_id": "a", "size": list(SIZE), "masks": [ENTRY]}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def make_dataset(folder: Path) -> Dataset:
    """Two images with one object each, a cat at MASK and a dog at the right."""
    samples = []
    for name, class_id, mask in (("a", 1, MASK), ("b/0012", 2, make_mask(0, 20, 20, 30))):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PilImage.new("RGB", SIZE[::-1]).save(path)
        instance = Instance(class_id, Box((0, 0, 9, 9), class_id), encode_mask(mask))
        samples.append(Sample(name, path, (class_id,), (instance,), MaskSource("instances")))
    return Dataset(folder, "folder", CLASSES, tuple(samples), (), False, True, True, "made here")


def values_of(scores: list) -> dict[str, float | None]:
    return {score.name: score.value for score in scores}


def test_reads_run_lengths_and_polygons(tmp_path: Path) -> None:
    plain = {"counts": [63, 10, 10, 10, 507], "size": list(SIZE)}
    entries = [ENTRY, {"segmentation": SQUARE, "class_id": 1}, {"segmentation": plain, "class_id": 1, "score": 2}]
    image = read_mask_file(write(tmp_path / "a.json", {**IMAGE, "masks": entries}), CLASSES)
    assert image.size == SIZE
    assert [(mask.class_id, mask.score) for mask in image.masks] == [(2, 0.5), (1, 1.0), (1, 2.0)]
    for mask, expected in zip(image.masks, (MASK, MASK, make_mask(3, 3, 13, 5)), strict=True):
        np.testing.assert_array_equal(decode_mask(mask.rle), expected)


def test_a_list_of_images_and_a_results_list_are_the_same(tmp_path: Path) -> None:
    other = {"image_id": 12, "size": list(SIZE), "masks": [ENTRY, {**ENTRY, "score": 0.25}]}
    images = read_mask_list(write(tmp_path / "images.json", [IMAGE, other]), CLASSES)
    flat = [
        {"image_id": 12, "category_id": 2, "segmentation": ENTRY["segmentation"], "score": 0.5},
        {"image_id": "a", "category_id": 2, "segmentation": SQUARE, "score": 0.5, "size": list(SIZE)},
        {"image_id": 12, "category_id": 2, "segmentation": ENTRY["segmentation"], "score": 0.25},
    ]
    assert read_mask_list(write(tmp_path / "flat.json", flat), CLASSES) == images
    assert set(images) == {"a", 12}
    assert read_mask_list(write(tmp_path / "none.json", []), CLASSES) == {}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 7), width=st.integers(1, 7), count=st.integers(0, 5))
def test_the_highest_score_is_on_top(seed: int, height: int, width: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    masks = generator.random((count, height, width)) < 0.5
    scores = generator.integers(3, size=count)
    predicted = [
        PredictedMask(int(class_id), float(score), encode_mask(mask))
        for class_id, score, mask in zip(generator.integers(1, 255, count), scores, masks, strict=True)
    ]
    label_map = draw_label_map(ImageMasks((height, width), tuple(predicted)))
    assert label_map.dtype == np.uint8
    for row in range(height):
        for column in range(width):
            best, expected = -1.0, 0
            for mask, area in zip(predicted, masks, strict=True):
                if area[row, column] and mask.score > best:
                    best, expected = mask.score, mask.class_id
            assert label_map[row, column] == expected


def test_masks_count_as_instances_and_as_label_maps(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    cat = {"segmentation": encode_mask(MASK), "class_id": 1, "score": 0.9}
    below = {"segmentation": encode_mask(MASK), "class_id": 2, "score": 0.1}
    dog = {"segmentation": encode_mask(make_mask(0, 20, 20, 30)), "class_id": 2}
    write(tmp_path / "found" / "a.json", {"size": list(SIZE), "masks": [below, cat]})
    write(tmp_path / "found" / "b" / "0012.json", {"size": list(SIZE), "masks": [dog]})
    scores = score_masks(tmp_path / "found", dataset)
    values = values_of(scores)
    assert values["mask AP"] == 1.0
    assert values["mIoU"] == values["pixel accuracy"] == 1.0
    assert scores[-1].conventions["overlapping masks"] == "highest score"
    assert scores[0].counts["images without prediction"] == 0
    flat = [
        {"image_id": image_id, "category_id": mask["class_id"], "score": 1.0, "segmentation": mask["segmentation"]}
        for image_id, mask in (("a", cat), (12, dog))
    ]
    assert values_of(score_masks(write(tmp_path / "flat.json", flat), dataset)) == values
    half = values_of(score_masks(write(tmp_path / "half.json", flat[:1]), dataset))
    assert (half["mask AP"], half["mIoU"]) == (0.5, pytest.approx((900 / 1100 + 1 + 0) / 3))


def test_boundary_ap_when_asked(tmp_path: Path) -> None:
    pytest.importorskip("faster_coco_eval")
    dataset = make_dataset(tmp_path / "data")
    flat = [{"image_id": "a", "category_id": 1, "score": 1.0, "segmentation": encode_mask(make_mask(3, 2, 13, 13))}]
    values = values_of(score_masks(write(tmp_path / "flat.json", flat), dataset, boundary=True))
    # masks 100 of 110 pixels; one-pixel contours share 27 of the 36 and 38
    assert values["mask AP50"] == values["boundary AP50"] == 0.5
    assert values["mask AP75"] == 0.5
    assert values["boundary AP75"] == 0.0


def test_missing_images(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    write(tmp_path / "found" / "a.json", {"size": list(SIZE), "masks": [{**ENTRY, "class_id": 1, "class": "cat"}]})
    with pytest.raises(DataError, match="no prediction for 1 of 2 images"):
        score_masks(tmp_path / "found", dataset)
    assert values_of(score_masks(tmp_path / "found", dataset, "skip"))["mask AP"] == 1.0
    assert values_of(score_masks(tmp_path / "found", dataset, "background"))["mask AP"] == 0.5
    write(tmp_path / "found" / "b" / "0012.json", IMAGE)
    with pytest.raises(DataError, match=r"0012\.json: expected image_id 'b/0012' as the file is called, but got 'a'"):
        score_masks(tmp_path / "found", dataset)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="it holds no such file at all"):
        score_masks(tmp_path / "empty", dataset, "background")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected a JSON object with the list 'masks'"),
        ({"size": [20, 30]}, "expected a JSON object with the list 'masks'"),
        (IMAGE | {"size": [20]}, r"expected 'size' as \[height, width\]"),
        (IMAGE | {"masks": [3]}, "mask 1: expected a JSON object, but got int"),
        (IMAGE | {"masks": [ENTRY, {"class_id": 1}]}, "mask 2: segmentation: expected an RLE dict"),
        (IMAGE | {"masks": [ENTRY | {"segmentation": [[1, 2]]}]}, "mask 1: polygon: expected a flat list"),
        (IMAGE | {"size": [30, 20]}, "mask 1: RLE: its size 20x30 is not the image's 30x20"),
        (IMAGE | {"masks": [ENTRY | {"score": float("nan")}]}, "mask 1: expected a finite number as 'score'"),
        (IMAGE | {"masks": [ENTRY | {"class_id": 3}]}, r"expected class_id in 1\.\.2, but got 3"),
        (IMAGE | {"masks": [ENTRY | {"class": "cat"}]}, "class_id 2 is called 'cat' here"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.json.*{message}"):
        read_mask_file(write(tmp_path / "a.json", content), CLASSES)


RESULT = {"image_id": "a", "category_id": 2, "segmentation": ENTRY["segmentation"], "score": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "expected a JSON list"),
        ([3], "expected a JSON list"),
        ([IMAGE, IMAGE], "image 2: image_id 'a' was there before"),
        ([IMAGE, RESULT], "image 2: expected a JSON object with the list 'masks'"),
        ([IMAGE | {"image_id": None}], "image 1: expected 'image_id' as a string or a whole number, but got None"),
        ([RESULT | {"category_id": 0}], "result 1: expected 'class_id' as a whole number from 1, but got 0"),
        ([RESULT | {"segmentation": SQUARE}], "result 1: expected 'size'"),
        ([RESULT, RESULT | {"size": [9, 9], "segmentation": SQUARE}], "result 2: its size .* is not the"),
        ([RESULT | {"image_id": "z"}], "image_id 'z' is not an image with ground truth"),
        ([RESULT | {"image_id": 12}, RESULT | {"image_id": "b/0012"}], "'b/0012', which was there before"),
        ([IMAGE | {"size": [9, 9], "masks": []}], "the masks of 'a' are for 9x9, but the image is 20x30"),
    ],
)
def test_other_lists_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.json.*{message}"):
        score_masks(write(tmp_path / "a.json", content), make_dataset(tmp_path / "data"))


def test_nothing_to_score_against(tmp_path: Path) -> None:
    sample = Sample("a", tmp_path / "a.png", (1,))
    PilImage.new("L", SIZE[::-1]).save(tmp_path / "a.png")
    boxed = Sample("a", tmp_path / "a.png", (1,), (Instance(1, Box((0, 0, 9, 9), 1)),))
    path = write(tmp_path / "list.json", [])
    for each, message in ((sample, "neither instances nor masks"), (boxed, "boxes but no masks")):
        dataset = Dataset(Path("root"), "voc", CLASSES, (each,), (), False, False, True, "")
        with pytest.raises(DataError, match=f"root: the data set has {message}"):
            score_masks(path, dataset)


def test_class_ids_that_no_label_map_can_hold() -> None:
    image = ImageMasks(SIZE, (PredictedMask(255, 1.0, encode_mask(MASK)),))
    with pytest.raises(DataError, match="expected class ids up to 254, but a mask has 255"):
        draw_label_map(image)


def test_real_instances_against_themselves(real_data: Path, tmp_path: Path) -> None:
    """COCO objects that do not overlap: perfect as instances, and as a label map except for undrawn crowds."""
    dataset = open_dataset(real_data / "data" / "coco_mini", format="coco")
    samples = [each for each in dataset.samples if not any(one.crowd for one in each.instances or ())][:10]
    flat = [
        {"image_id": each.image_id, "category_id": one.class_id, "segmentation": one.segmentation, "score": 1.0}
        for each in samples
        for one in each.instances or ()
    ]
    part = Dataset(dataset.root, "coco", dataset.classes, tuple(samples), (), False, True, True, "part")
    values = values_of(score_masks(write(tmp_path / "flat.json", flat), part))
    assert values["mask AP"] == values["mIoU"] == 1.0
