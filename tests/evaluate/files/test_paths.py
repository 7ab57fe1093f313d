from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wsl.data.label_maps import write_label_map
from wsl.data.rle import encode_mask
from wsl.errors import ConfigError, DataError
from wsl.evaluate.files.guessing import guess_kind, is_mask_folder
from wsl.evaluate.files.options import EvaluateOptions
from wsl.evaluate.files.paths import evaluate_paths
from wsl.evaluate.result import Score
from wsl.types import ClassSet

LABELS = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]], np.uint8)


def write_masks(folder: Path, *names: str) -> Path:
    for name in names or ("a", "b"):
        write_label_map(folder / f"{name}.png", LABELS)
    return folder


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((3, 4, 3), 90, np.uint8)).save(path)
    return path


def write_dataset(root: Path) -> Path:
    """Images by class with masks of the defect, and good ones."""
    for name, defect in (("crack/x", True), ("crack/y", True), ("good/z", False)):
        write_image(root / "images" / f"{name}.png")
        mask = root / "masks" / f"{name}.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((LABELS == 1).astype(np.uint8) * 255 * defect).save(mask)
    return root


def write_coco(root: Path) -> Path:
    for name in ("a", "b"):
        write_image(root / "images" / f"{name}.png")
    content = {
        "images": [{"id": n, "file_name": f"{name}.png", "height": 3, "width": 4} for n, name in ((7, "a"), (8, "b"))],
        "categories": [{"id": 17, "name": "cat"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 17, "bbox": [2, 0, 2, 2], "area": 4, "iscrowd": 0} for n in (7, 8)
        ],
    }
    write_json(root / "annotations" / "instances.json", content)
    return root


def score(prediction: Path, truth: Path, **options: Any) -> list[Score]:
    return evaluate_paths(prediction, truth, EvaluateOptions(**options)).scores


def names_of(scores: list) -> set[str]:
    return {score.name for score in scores}


def test_label_maps_against_label_maps(tmp_path: Path) -> None:
    scores = score(write_masks(tmp_path / "p"), write_masks(tmp_path / "t"), classes=ClassSet(("cat",)))
    assert scores[0].value == 1.0
    assert list(scores[0].per_class) == ["background", "cat"]


def test_label_maps_against_a_data_set(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "t")
    write_masks(tmp_path / "p", "crack/x", "crack/y")
    write_label_map(tmp_path / "p" / "good" / "z.png", np.zeros((3, 4), np.uint8))
    scores = score(tmp_path / "p", root)
    assert scores[0].value == 1.0
    assert scores[0].counts["images"] == 3
    assert list(scores[0].per_class) == ["good", "crack"]
    part = score(tmp_path / "p", root, split="val")
    assert part[0].counts["images"] + part[0].counts["predictions without ground truth"] == 3


def test_score_maps(tmp_path: Path) -> None:
    truth = write_masks(tmp_path / "t", "a")
    (tmp_path / "p").mkdir()
    np.savez(tmp_path / "p" / "a.npz", scores=(LABELS[None] * np.float32(0.7)), class_ids=np.array([1]))
    (found,) = score(tmp_path / "p", truth, metrics=("miou_sweep",))
    assert (found.value, found.threshold["provenance"]) == (1.0, "oracle")


def test_boxes_and_coco_files_against_a_coco_data_set(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "t")
    annotations = root / "annotations" / "instances.json"
    boxes = [{"xyxy": [2, 0, 4, 2], "class_id": 1, "class": "cat", "score": 1.0}]
    for name in ("a", "b"):
        write_json(tmp_path / "p" / f"{name}.json", {"image_id": name, "size": [3, 4], "boxes": boxes})
    assert "CorLoc" in names_of(score(tmp_path / "p", root))
    assert "CorLoc" in names_of(score(tmp_path / "p", annotations))
    results = [{"image_id": n, "category_id": 17, "bbox": [2, 0, 2, 2], "score": 0.5} for n in (7, 8)]
    path = write_json(tmp_path / "results.json", results)
    assert score(path, annotations)[0].value == pytest.approx(1.0)
    assert score(annotations, root)[0].value == pytest.approx(1.0)
    assert score(annotations, annotations, kind="coco")[0].value == pytest.approx(1.0)
    with pytest.raises(ConfigError, match="split 'val' needs a data set"):
        score(path, annotations, split="val")


def write_coco_masks(root: Path) -> Path:
    """COCO's ids have gaps and another order than the class ids: category 1 would be class 1, but is the second."""
    write_image(root / "images" / "000000000139.png")
    masks = {1: np.array(LABELS == 1), 90: np.array(LABELS == 0)}
    content = {
        "images": [{"id": 139, "file_name": "000000000139.png", "height": 3, "width": 4}],
        "categories": [{"id": 90, "name": "floor"}, {"id": 1, "name": "cat"}],
        "annotations": [
            {"id": n, "image_id": 139, "category_id": n, "segmentation": encode_mask(mask), "iscrowd": 0}
            | {"bbox": [0, 0, 4, 3], "area": int(mask.sum())}
            for n, mask in masks.items()
        ],
    }
    return write_json(root / "annotations" / "instances.json", content)


def test_masks_in_a_coco_results_list_have_the_ids_of_the_annotations(tmp_path: Path) -> None:
    annotations = write_coco_masks(tmp_path / "t")
    truth = json.loads(annotations.read_text())["annotations"]
    results = [{key: row[key] for key in ("image_id", "category_id", "segmentation")} | {"score": 0.9} for row in truth]
    path = write_json(tmp_path / "results.json", results)
    assert guess_kind(path, annotations) == "coco"
    assert (score(path, annotations)[0].name, score(path, annotations)[0].value) == ("mask AP", 1.0)
    for ground_truth, kind in ((annotations, "masks"), (annotations.parents[1], "auto")):
        with pytest.raises(DataError, match=r"results\.json: result 1: these are COCO's own image and category ids"):
            score(path, ground_truth, kind=kind)


def test_jpegs_are_no_predictions(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg: JPEG changes the values of label maps .*save them as PNG"):
        guess_kind(tmp_path)
    write_image(tmp_path / "other" / "a.bmp")
    with pytest.raises(DataError, match=r"a\.bmp: of pictures only PNG is read"):
        guess_kind(tmp_path / "other")


def test_what_is_no_ground_truth_says_what_is_accepted(tmp_path: Path) -> None:
    predicted = write_masks(tmp_path / "p")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match=r"t: nothing to score against .*a folder of label maps .*wsolevaluation"):
        score(predicted, tmp_path / "t")
    write_metadata(tmp_path / "t")
    with pytest.raises(DataError, match=r"metadata is for score maps, but .* holds label_maps; .*--kind score_maps"):
        score(predicted, tmp_path / "t")


def write_metadata(folder: Path) -> Path:
    """One image of 3x4 with an object that the map of `write_bump` meets."""
    folder.mkdir(exist_ok=True)
    for name, line in (
        ("image_ids", "a.png"),
        ("class_labels", "a.png,0"),
        ("image_sizes", "a.png,4,3"),
        ("localization", "a.png,2,0,4,2"),
    ):
        (folder / f"{name}.txt").write_text(line)
    return folder


def test_the_default_protocol_is_that_of_the_ground_truth(tmp_path: Path) -> None:
    metadata = write_metadata(tmp_path / "t")
    (tmp_path / "p").mkdir()
    np.save(tmp_path / "p" / "a.npy", (LABELS == 1).astype(np.float32))
    for protocol, expected in ((None, "wsolevaluation"), ("original", "original")):
        assert score(tmp_path / "p", metadata, protocol=protocol)[0].conventions["protocol"] == expected
    np.save(tmp_path / "p" / "a.npy", (LABELS == 1).astype(np.float32)[None])
    truth = write_masks(tmp_path / "masks", "a")
    conventions = score(tmp_path / "p", truth, metrics=("pixel_ap",))[0].conventions
    assert conventions["pixel protocol"] == "original"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"absent": "none"}, "--absent: expected one of"),
        ({"predicted_ignore": "none"}, "--predicted-ignore: expected one of"),
        ({"background": "none"}, "--background: expected one of"),
        ({"missing": "none"}, "--missing: expected one of"),
        ({"rule": "cubic"}, "Unknown background rule 'cubic'"),
        ({"values": (2.0,)}, r"expected a value in \[0, 1\], but got 2"),
        ({"protocol": "wsol"}, "Unknown box protocol 'wsol'"),
        ({"thresholds": ("orakel",)}, "Did you mean: oracle"),
        ({"metrics": ("miou",)}, "--metrics miou cannot be used for COCO JSON; expected only --boundary: leave it out"),
        ({"thresholds": ("0.3", "oracle")}, "--threshold 0.3,oracle cannot be used for COCO JSON"),
        ({"missing": "skip"}, "--missing skip cannot be used for COCO JSON"),
        ({"classes": ClassSet(("cat",))}, "--classes cannot be used for COCO JSON"),
        ({"split": "val"}, "split 'val' needs a data set"),
    ],
)
def test_options_are_checked_for_coco_json_too(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    annotations = write_coco(tmp_path / "t") / "annotations" / "instances.json"
    with pytest.raises(ConfigError, match=message):
        score(annotations, annotations, **options)


def test_options_without_meaning_are_refused_for_every_kind(tmp_path: Path) -> None:
    data, metadata = write_coco(tmp_path / "t"), write_metadata(tmp_path / "meta")
    label_maps = write_masks(tmp_path / "p")
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "a.npy", np.zeros((3, 4)))
    boxes = write_json(tmp_path / "boxes" / "a.json", {"boxes": []}).parent
    box_list, masks = write_json(tmp_path / "boxes.json", []), write_json(tmp_path / "masks" / "a.json", {"masks": []})
    for prediction, truth, options, message in (
        (label_maps, label_maps, {"thresholds": ("0.3",)}, "--threshold 0.3 cannot be used for label maps"),
        (tmp_path / "maps", label_maps, {"boundary": True}, "--boundary cannot be used for score maps"),
        (boxes, data, {"thresholds": ("0.3",)}, "--threshold 0.3 cannot be used for box files"),
        (box_list, data, {"missing": "skip"}, "--missing skip cannot be used for a list of boxes"),
        (masks.parent, data, {"protocol": "original"}, "--protocol original cannot be used for mask files"),
        (tmp_path / "maps", metadata, {"metrics": ("all",)}, "--metrics all cannot be used for wsolevaluation's"),
        (boxes, data, {"metrics": ("miou",)}, "metrics: 'miou' is none for boxes"),
    ):
        with pytest.raises(ConfigError, match=message):
            score(prediction, truth, **options)


def test_a_split_of_coco_annotations_is_not_passed_over(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "t")
    with pytest.raises(ConfigError, match=r"scored against a whole file, but got --split val; give the annotations"):
        score(root / "annotations" / "instances.json", root, split="val")


def test_a_folder_of_masks_is_told_from_a_data_set(tmp_path: Path) -> None:
    assert is_mask_folder(write_masks(tmp_path / "flat"))
    assert is_mask_folder(write_masks(tmp_path / "deep", "x/a", "y/b"))
    assert not is_mask_folder(write_dataset(tmp_path / "data"))
    write_image(tmp_path / "by_class" / "cat" / "a.png")
    assert not is_mask_folder(tmp_path / "by_class")
    write_image(write_masks(tmp_path / "mixed") / "c.jpg")
    assert not is_mask_folder(tmp_path / "mixed")
    (write_masks(tmp_path / "table") / "list.csv").write_text("path,labels\n")
    assert not is_mask_folder(tmp_path / "table")


def test_what_cannot_be_guessed_says_what_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="found nothing to score; expected a folder of label maps"):
        guess_kind(tmp_path / "empty")
    with pytest.raises(DataError, match="no such file or folder; expected a folder of label maps"):
        guess_kind(tmp_path / "none")
    with pytest.raises(DataError, match="expected a folder of label maps"):
        guess_kind(write_image(tmp_path / "x.png"))
    write_json(write_masks(tmp_path / "both") / "a.json", {})
    with pytest.raises(DataError, match="holds files for boxes and label_maps; say which with --kind boxes"):
        guess_kind(tmp_path / "both")
    truth = write_masks(tmp_path / "t")
    assert score(tmp_path / "both", truth, kind="label_maps")[0].value == 1.0
    with pytest.raises(DataError, match="box files are scored against a data set"):
        score(tmp_path / "both", truth, kind="boxes")
    with pytest.raises(ConfigError, match="kind: expected one of auto"):
        score(truth, truth, kind="pictures")
    with pytest.raises(ConfigError, match="split 'val' needs a data set"):
        score(truth, truth, split="val")
    with pytest.raises(DataError, match=r"none: no such file or folder; expected a folder of label maps"):
        score(truth, tmp_path / "none")
