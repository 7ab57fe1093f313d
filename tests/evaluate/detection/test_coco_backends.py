from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.oracles.evaluate_detection import boundary_iou
from wsl.data.rle import encode_mask
from wsl.errors import ConfigError, MissingExtraError
from wsl.evaluate.detection.coco import compute_coco_scores
from wsl.evaluate.detection.coco_backends import choose_backend

CATEGORIES = [{"id": 7, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 4, "name": "cow"}]


def make_coco(seed: int, masks: bool = False) -> tuple[dict, list[dict]]:
    """Crowds, images without objects, objects without results, sides of 0, equal scores, all sizes; no cow."""
    generator = np.random.default_rng(seed)
    images = [{"id": int(number), "height": 40, "width": 50} for number in generator.permutation(90)[:9]]
    annotations, results = [], []
    for image in images[:-1]:
        for _ in range(generator.integers(0, 5)):
            sides = generator.integers(0, 140 if not masks else 25, 4)
            entry = {"image_id": image["id"], "category_id": int(generator.choice([2, 7])), "bbox": sides.tolist()}
            annotations.append({**entry, "id": len(annotations), "iscrowd": int(generator.random() < 0.2)})
            annotations[-1]["area"] = int(sides[2] * sides[3])
            for _ in range(generator.integers(0, 4)):
                moved = np.maximum(sides + generator.integers(-6, 7, 4), 0).tolist()
                results.append({**entry, "bbox": moved, "score": int(generator.integers(8)) / 8})
    if masks:
        for each in (*annotations, *results):
            x, y, width, height = each.pop("bbox")
            mask = np.zeros((40, 50), bool)
            mask[y : y + height + 1, x : x + width + 1] = True
            each["segmentation"] = encode_mask(mask)
            each.pop("area", None)
    return {"images": images, "categories": CATEGORIES, "annotations": annotations}, results


def values_of(scores: list) -> dict[str, float | None]:
    return {score.name: score.value for score in scores}


def run_pycocotools(truth: dict, results: list[dict], limits: list[int]) -> COCOeval:
    content = copy.deepcopy(truth)
    for number, entry in enumerate(content["annotations"], start=1):
        entry["id"] = number
    found = [
        {**entry, "id": number, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": 0}
        for number, entry in enumerate(results, start=1)
    ]
    sides = []
    with contextlib.redirect_stdout(io.StringIO()):
        for annotations in (content["annotations"], found):
            coco = COCO()
            coco.dataset = {**content, "annotations": annotations}
            coco.createIndex()
            sides.append(coco)
        evaluation = COCOeval(*sides, "bbox")
        evaluation.params.maxDets = limits
        evaluation.evaluate()
        evaluation.accumulate()
        if limits == [1, 10, 100]:
            evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("max_results", [(1, 10, 100), (2,), (3, 1)])
def test_both_programs_give_the_same_numbers(masks: bool, max_results: tuple[int, ...]) -> None:
    pytest.importorskip("faster_coco_eval")
    for seed in range(6):
        truth, results = make_coco(seed, masks)
        for found in (results, []):
            slow, fast = (
                compute_coco_scores(truth, found, "segm" if masks else "bbox", backend, max_results)
                for backend in ("pycocotools", "faster_coco_eval")
            )
            assert {score.protocol for score in slow} == {"COCO detection (pycocotools)"}
            assert {score.protocol for score in fast} == {
                "COCO detection (faster-coco-eval, the numbers of pycocotools)"
            }
            assert slow == [replace(score, protocol=slow[0].protocol) for score in fast]
            assert len(slow) == 9 + len(max_results)


def test_the_twelve_numbers_are_pycocotools_own() -> None:
    for seed in range(6):
        truth, results = make_coco(seed)
        stats = run_pycocotools(truth, results, [1, 10, 100]).stats
        for value, expected in zip(values_of(compute_coco_scores(truth, results)).values(), stats, strict=True):
            assert (-1 if value is None else value) == pytest.approx(expected, abs=1e-14)


def test_other_limits_than_100_are_kept() -> None:
    """pycocotools' own summary would say -1 for AP."""
    truth, results = make_coco(3)
    tables = run_pycocotools(truth, results, [1, 2]).eval
    values = values_of(compute_coco_scores(truth, results, max_results=(1, 2)))
    precision, recall = tables["precision"][:, :, :, 0, -1], tables["recall"][:, :, 0, :]
    assert values["box AP"] == pytest.approx(precision[precision > -1].mean(), abs=1e-14)
    for column, name in enumerate(("box AR@1", "box AR@2")):
        assert values[name] == pytest.approx(recall[..., column][recall[..., column] > -1].mean(), abs=1e-14)
    assert values["box AP"] != compute_coco_scores(truth, results)[0].value


def test_the_second_result_counts_only_where_two_may() -> None:
    box = [0, 0, 9, 9]
    truth = {
        "images": [{"id": "only"}],
        "categories": CATEGORIES,
        "annotations": [{"image_id": "only", "category_id": 2, "bbox": box}],
    }
    results = [
        {"image_id": "only", "category_id": 2, "bbox": [50, 50, 9, 9], "score": 0.9},
        {"image_id": "only", "category_id": 2, "bbox": box, "score": 0.8},
    ]
    assert values_of(compute_coco_scores(truth, results, max_results=(1, 2)))["box AP"] == 0.5
    assert values_of(compute_coco_scores(truth, results, max_results=(1,)))["box AP"] == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_boundary_ap_agrees_with_the_definition(seed: int) -> None:
    pytest.importorskip("faster_coco_eval")
    generator = np.random.default_rng(seed)
    masks = np.zeros((2, 60, 80), bool)  # 2 % of 100
    masks[0, 10:50, 0:60] = True
    top, left = generator.integers(8, 13), generator.integers(0, 3)
    masks[1, top:50, left : 60 + generator.integers(-2, 2)] = True
    images = [{"id": 1, "height": 60, "width": 80}]
    first, second = ({"image_id": 1, "category_id": 2, "segmentation": encode_mask(mask)} for mask in masks)
    truth = {"images": images, "categories": CATEGORIES, "annotations": [first]}
    values = values_of(compute_coco_scores(truth, [{**second, "score": 1.0}], "boundary"))
    iou = boundary_iou(masks[0].tolist(), masks[1].tolist())
    limits = np.linspace(0.5, 0.95, 10)
    assert values["boundary AP"] == pytest.approx(np.mean(iou >= limits))
    assert values["boundary AP"] < values_of(compute_coco_scores(truth, [{**second, "score": 1.0}], "segm"))["mask AP"]


def test_what_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="backend: expected one of auto, pycocotools, faster_coco_eval"):
        choose_backend("faster", "bbox")
    with pytest.raises(ConfigError, match="pycocotools has no boundary AP"):
        choose_backend("pycocotools", "boundary")
    with pytest.raises(ConfigError, match="max_results: expected whole numbers from 1"):
        compute_coco_scores(*make_coco(0), max_results=(0, 10))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert choose_backend("auto", "bbox") == "pycocotools"
    with pytest.raises(MissingExtraError, match="Boundary AP needs faster-coco-eval"):
        choose_backend("auto", "boundary")
    with pytest.raises(MissingExtraError, match=r"pip install 'wsl\[fast\]'"):
        choose_backend("faster_coco_eval", "bbox")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert choose_backend("auto", "segm") == "faster_coco_eval"
