"""Seconds of COCO AP and VOC AP: faster-coco-eval against pycocotools, wsl's VocAp against a loop over detections.

Synthetic boxes: 2000 images, about 25 000 boxes, 20 classes. Both sides of each pair run in one process, in turns, and
must give the same numbers: COCO's twelve bit for bit, VOC's to 1e-12 per class.

    python benchmarks/bench_detection.py --images 2000 --repeats 3 --save
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from measuring import describe_setting, save_result, summarise

from wsl.evaluate.detection.coco import build_coco_ground_truth, build_coco_results, compute_coco_scores
from wsl.evaluate.detection.voc_ap import VocAp
from wsl.types import Box, ClassSet, Instance

CLASSES = ClassSet(tuple(f"class {number}" for number in range(1, 21)))
SIZE = (480, 640)
GOALS = {"COCO AP": 3.0, "VOC AP": 1.5}

Images = dict[str, tuple[list[Box], list[Box]]]  # image_id -> predicted, true


def make_images(count: int) -> Images:
    """About four objects and eight and a half predictions an image; every tenth object is difficult."""
    generator = np.random.default_rng(0)
    return {f"{number:06d}": make_image(generator) for number in range(count)}


def make_image(generator: np.random.Generator) -> tuple[list[Box], list[Box]]:
    truth, predicted = [], []
    for _ in range(generator.integers(1, 8)):
        x, y, width, height = generator.uniform((0, 0, 8, 8), (500, 400, 140, 80))
        class_id = int(generator.integers(1, 21))
        truth.append(Box((x, y, x + width, y + height), class_id, difficult=bool(generator.random() < 0.1)))
        for _ in range(generator.integers(0, 5)):
            corners = np.array(truth[-1].xyxy) + generator.normal(0, 6, 4)
            corners[2:] = np.maximum(corners[2:], corners[:2])
            wrong = generator.random() < 0.2
            box = tuple(float(side) for side in corners)
            predicted.append(Box(box, int(generator.integers(1, 21)) if wrong else class_id, float(generator.random())))  # type: ignore[arg-type]
    return predicted, truth


def make_coco_sides(images: Images) -> dict[str, Callable[[], list[Any]]]:
    """COCO's twelve numbers of the same checked input."""
    instances = ((name, SIZE, [Instance(box.class_id, box) for box in truth]) for name, (_, truth) in images.items())
    truth, numbers = build_coco_ground_truth(instances, CLASSES)
    results = build_coco_results({name: predicted for name, (predicted, _) in images.items()}, numbers)

    def run(backend: str) -> Callable[[], list[Any]]:
        return lambda: [score.value for score in compute_coco_scores(truth, results, "bbox", backend)]

    return {"faster-coco-eval": run("faster_coco_eval"), "pycocotools": run("pycocotools")}


def make_voc_sides(images: Images) -> dict[str, Callable[[], list[Any]]]:
    """AP of each class, area and 11 points."""

    def ours() -> list[Any]:
        metric = VocAp()
        for name, (predicted, truth) in images.items():
            metric.update(predicted, truth, name)
        rows = [score.per_class for score in metric.scores(CLASSES)]
        return [row[name]["ap"] for row in rows for name in CLASSES.names]

    return {"wsl": ours, "loop": lambda: loop_over_detections(images)}


def loop_over_detections(images: Images) -> list[float]:
    """The devkit's way: per class one loop over its detections, best first, each with the IoUs of its image."""
    areas, elevens = [], []
    for class_id in CLASSES.ids:
        truth = {
            name: [box for box in boxes if box.class_id == class_id]
            for name, (_, boxes) in images.items()
            if any(box.class_id == class_id for box in boxes)
        }
        corners = {name: np.array([box.xyxy for box in boxes]) for name, boxes in truth.items()}
        found = [(name, box) for name in sorted(images) for box in images[name][0] if box.class_id == class_id]
        hits = judge(found, truth, corners)
        objects = sum(not box.difficult for boxes in truth.values() for box in boxes)
        recall, precision = np.cumsum(hits) / objects, np.cumsum(hits) / np.arange(1, len(hits) + 1)
        levels = np.arange(11) / 10
        elevens.append(float(np.mean([precision[recall >= level].max(initial=0.0) for level in levels])))
        steps, heights = np.concatenate(([0.0], recall, [1.0])), np.concatenate(([0.0], precision, [0.0]))
        for row in range(len(heights) - 1, 0, -1):
            heights[row - 1] = max(heights[row - 1], heights[row])
        areas.append(float(np.sum(np.diff(steps) * heights[1:])))
    return areas + elevens


def judge(found: Sequence[tuple[str, Box]], truth: dict[str, list[Box]], corners: dict[str, Any]) -> list[bool]:
    """Right or wrong, best score first; those on difficult objects are left out."""
    taken: set[tuple[str, int]] = set()
    hits = []
    for name, box in sorted(found, key=lambda pair: -pair[1].score):
        if name not in truth:
            hits.append(False)
            continue
        others, (x1, y1, x2, y2) = corners[name], box.xyxy
        width = np.maximum(np.minimum(others[:, 2], x2) - np.maximum(others[:, 0], x1), 0)
        height = np.maximum(np.minimum(others[:, 3], y2) - np.maximum(others[:, 1], y1), 0)
        areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
        overlap = width * height / (areas + (x2 - x1) * (y2 - y1) - width * height)
        best = int(np.argmax(overlap))
        if overlap[best] <= 0.5:
            hits.append(False)
        elif not truth[name][best].difficult:
            hits.append((name, best) not in taken)
            taken.add((name, best))
    return hits


def race(sides: dict[str, Callable[[], list[Any]]], repeats: int) -> dict[str, Any]:
    """Seconds of both in turns, the ratio second / first, and the largest difference of their results."""
    (first, run_first), (second, run_second) = sides.items()
    pairs = zip(run_first(), run_second(), strict=True)
    difference = max(abs(a - b) for a, b in pairs if not (a is None and b is None))
    seconds: dict[str, list[float]] = {first: [], second: []}
    for repeat in range(repeats):
        for name in (first, second)[:: 1 if repeat % 2 else -1]:
            began = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - began)
    ratios = [theirs / ours for ours, theirs in zip(seconds[first], seconds[second], strict=True)]
    return {
        "largest_difference": difference,
        "ratio": summarise(ratios),
        "seconds": {name: summarise(values) for name, values in seconds.items()},
    }


def time_resampling(images: Images, draws: int) -> dict[str, Any]:
    """Seconds of a bootstrap of VOC mAP over all images."""
    metric = VocAp()
    for name, (predicted, truth) in images.items():
        metric.update(predicted, truth, name)
    weights = np.random.default_rng(0).multinomial(len(images), np.full(len(images), 1 / len(images)), draws)
    began = time.perf_counter()
    metric.resample(weights)
    return {"draws": draws, "seconds": round(time.perf_counter() - began, 3)}


def main() -> int:
    """Runs both races; exit code 1 when results differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bench_detection.json")
    given = parser.parse_args()
    images = make_images(given.images)
    result: dict[str, Any] = describe_setting(("pycocotools", "faster-coco-eval"))
    boxes = sum(len(predicted) + len(truth) for predicted, truth in images.values())
    result |= {"settings": vars(given), "boxes": boxes}
    result["races"] = {
        "COCO AP": race(make_coco_sides(images), given.repeats),
        "VOC AP": race(make_voc_sides(images), given.repeats),
    }
    result["bootstrap"] = time_resampling(images, given.draws)
    tell(result)
    if given.save:
        print("saved", save_result("bench_detection", result))
    races = result["races"]
    return 0 if races["COCO AP"]["largest_difference"] == 0 and races["VOC AP"]["largest_difference"] < 1e-12 else 1


def tell(result: dict[str, Any]) -> None:
    """The outcome in a few lines."""
    print(f"{result['date']}, {result['cpu']}, load {result['load_at_start']}")
    print(", ".join(f"{name} {version}" for name, version in result["versions"].items()))
    print(f"{result['settings']['images']} images, {result['boxes']} boxes")
    for name, outcome in result["races"].items():
        ratio = outcome["ratio"]
        print(f"{name}: {ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f}), goal {GOALS[name]}")
        for side, seconds in outcome["seconds"].items():
            print(f"  {side}: {seconds['median']:.3f} s ({seconds['min']:.3f} to {seconds['max']:.3f})")
        print(f"  largest difference {outcome['largest_difference']:.1e}")
    print(f"bootstrap of VOC mAP: {result['bootstrap']['draws']} draws in {result['bootstrap']['seconds']:.2f} s")


if __name__ == "__main__":
    sys.exit(main())
