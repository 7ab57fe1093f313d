"""Segmentation metrics against what one would write without them, on the same drawn maps, in turns.

1. plain mIoU: the pair counts of one image against a bare np.bincount (goal: at most 20 % slower);
2. background sweep: one pass against IRN's loop (argmax and bincount per threshold; goal 40x at 60 thresholds) and
   against SEAM's (dense tensor of all classes, masks per class and threshold; goal 150x);
3. boundary maps of 21 classes: two filters against one erosion per class (goal 4x);
4. Confusion against torchmetrics' MulticlassJaccardIndex (agreement, and the ratio of time).

The sweep is run with numba and without ("numpy").

    python benchmarks/bench_segmentation.py --images 30 --repeats 3 --save
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np
from measuring import describe_setting, save_result, summarise
from numpy.typing import NDArray

from wsl.compiled import SWITCH
from wsl.evaluate.segmentation.boundary import compute_boundary_width, find_boundary
from wsl.evaluate.segmentation.confusion import Confusion, compute_iou, count_pairs
from wsl.evaluate.segmentation.sweep import BackgroundSweep

CLASSES = 20
GOALS = {"bincount": 0.83, "IRN loop": 40.0, "SEAM loop": 150.0, "erosions": 4.0}
Image = tuple[NDArray[np.float32], list[int], NDArray[np.uint8]]  # scores (K, H, W), class ids, truth
Call = Callable[[], Any]


def draw_image(generator: np.random.Generator, size: tuple[int, int]) -> Image:
    """Smooth scores of one to three classes and a blocky truth with 255 between the blocks."""
    height, width = size
    class_ids = sorted(
        generator.choice(np.arange(1, CLASSES + 1), int(generator.integers(1, 4)), replace=False).tolist()
    )
    coarse = generator.random((len(class_ids), height // 32 + 2, width // 32 + 2)).astype(np.float32)
    scores = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in coarse])
    values = generator.choice(np.array([0, 0, *class_ids], np.uint8), (height // 60 + 2, width // 60 + 2))
    truth = cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST)
    edges = cv2.morphologyEx(truth, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    return scores, class_ids, np.where(edges, np.uint8(255), truth)


def draw_dense_pair(generator: np.random.Generator, size: tuple[int, int]) -> tuple[NDArray[np.uint8], ...]:
    """Truth and prediction uint8 (H, W) of 21 labels in blocks, no 255."""
    height, width = size
    shape = (height // 40 + 1, width // 40 + 1)
    maps = [generator.integers(0, CLASSES + 1, shape).astype(np.uint8) for _ in range(2)]
    return tuple(cv2.resize(each, (width, height), interpolation=cv2.INTER_NEAREST) for each in maps)


def sweep_in_one_pass(images: Sequence[Image], thresholds: NDArray[np.float64], compiled: bool) -> NDArray[np.int64]:
    """wsl: (T, 21, 21)."""
    os.environ[SWITCH] = str(int(compiled))
    sweep = BackgroundSweep(CLASSES, thresholds)
    for scores, class_ids, truth in images:
        sweep.update(scores, class_ids, truth)
    return sweep.confusions()


def sweep_like_irn(images: Sequence[Image], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """The whole data set once per threshold: constant background channel, argmax, bincount."""
    result = np.zeros((len(thresholds), CLASSES + 1, CLASSES + 1), np.int64)
    for index, threshold in enumerate(thresholds):
        for scores, class_ids, truth in images:
            padded = np.pad(scores, ((1, 0), (0, 0), (0, 0)), mode="constant", constant_values=threshold)
            predicted = np.array([0, *class_ids])[np.argmax(padded, axis=0)]
            kept = truth != 255
            joint = (CLASSES + 1) * truth[kept].astype(np.int64) + predicted[kept]
            result[index] += np.bincount(joint, minlength=(CLASSES + 1) ** 2).reshape(CLASSES + 1, CLASSES + 1)
    return result


def sweep_like_seam(images: Sequence[Image], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """True, predicted and right pixels (T, 3, 21): dense tensor with all classes, three masks per class."""
    result = np.zeros((len(thresholds), 3, CLASSES + 1), np.int64)
    for index, threshold in enumerate(thresholds):
        for scores, class_ids, truth in images:
            tensor = np.zeros((CLASSES + 1, *truth.shape), np.float32)
            tensor[class_ids] = scores
            tensor[0] = threshold
            predicted = np.argmax(tensor, axis=0).astype(np.uint8)
            kept = truth < 255
            right = (predicted == truth) * kept
            for class_id in range(CLASSES + 1):
                result[index, 0, class_id] += np.sum((truth == class_id) * kept)
                result[index, 1, class_id] += np.sum((predicted == class_id) * kept)
                result[index, 2, class_id] += np.sum((truth == class_id) * right)
    return result


def erode_each_class(label_map: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    """Boundary pixels of all classes, one padded erosion (3x3, `width` times) per class."""
    result = np.zeros(label_map.shape, np.bool_)
    for class_id in range(CLASSES + 1):
        mask = (label_map == class_id).astype(np.uint8)
        padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]
        result |= (mask > 0) & (eroded == 0)
    return result


def many(call: Call, times: int) -> Call:
    """`call` repeated, its results dropped: kept ones would cost fresh memory."""

    def run() -> None:
        for _ in range(times):
            call()

    return run


def race(calls: dict[str, Call], repeats: int) -> dict[str, list[float]]:
    """Seconds of each call, in turns, the order changing each time; one untimed round first."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        pairs = list(calls.items())
        for name, call in pairs if repeat % 2 else reversed(pairs):
            began = time.perf_counter()
            call()
            if repeat:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def rate(seconds: dict[str, list[float]], ours: str, theirs: str) -> dict[str, Any]:
    """Seconds of both and how many times as long the other one takes."""
    ratios = [there / here for here, there in zip(seconds[ours], seconds[theirs], strict=True)]
    return {"seconds": {name: summarise(seconds[name]) for name in (ours, theirs)}, "ratio": summarise(ratios)}


def iterate_races(given: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, ratio, seconds and agreement) of every race."""
    generator = np.random.default_rng(given.seed)
    ways = {"numba": True, "numpy": False} if find_spec("numba") else {"numpy": False}
    yield "bincount", race_pairs(generator, given.repeats)
    images = [draw_image(generator, (366, 500)) for _ in range(given.images)]
    for count in given.thresholds:
        yield from race_sweeps(images, count, ways, given.repeats)
    yield "erosions", race_boundaries(generator, given.repeats)
    yield "torchmetrics", race_jaccard(generator, given.repeats)


def race_pairs(generator: np.random.Generator, repeats: int) -> dict[str, Any]:
    truth, predicted = draw_dense_pair(generator, (500, 375))

    def bare() -> NDArray[np.intp]:
        return np.bincount((truth.astype(np.int64) * 21 + predicted).ravel(), minlength=441)

    calls = {"wsl": many(lambda: count_pairs(truth, predicted), 100), "bincount": many(bare, 100)}
    agree = np.array_equal(count_pairs(truth, predicted)[:21, :21], bare().reshape(21, 21))
    return rate(race(calls, repeats), "wsl", "bincount") | {"agree": agree}


def race_sweeps(
    images: Sequence[Image], count: int, ways: dict[str, bool], repeats: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    thresholds = np.arange(count) / count
    calls: dict[str, Call] = {
        way: lambda compiled=compiled: sweep_in_one_pass(images, thresholds, compiled) for way, compiled in ways.items()
    }
    calls |= {
        "IRN loop": lambda: sweep_like_irn(images, thresholds),
        "SEAM loop": lambda: sweep_like_seam(images, thresholds),
    }
    irn, seam = sweep_like_irn(images, thresholds), sweep_like_seam(images, thresholds)
    seconds = race(calls, repeats)
    for way in ways:
        ours = calls[way]()
        marginals = np.stack([ours.sum(axis=2), ours.sum(axis=1), np.diagonal(ours, axis1=1, axis2=2)], axis=1)
        for loop, agree in (("IRN loop", np.array_equal(ours, irn)), ("SEAM loop", np.array_equal(marginals, seam))):
            yield f"{loop}, {count} thresholds, {way}", rate(seconds, way, loop) | {"agree": agree}


def race_boundaries(generator: np.random.Generator, repeats: int) -> dict[str, Any]:
    label_map, _ = draw_dense_pair(generator, (366, 500))
    width = compute_boundary_width(label_map.shape)
    calls: dict[str, Call] = {
        "wsl": many(lambda: find_boundary(label_map, width), 10),
        "erosions": many(lambda: erode_each_class(label_map, width), 10),
    }
    agree = np.array_equal(find_boundary(label_map, width), erode_each_class(label_map, width))
    return rate(race(calls, repeats), "wsl", "erosions") | {"agree": agree}


def race_jaccard(generator: np.random.Generator, repeats: int) -> dict[str, Any]:
    import torch
    from torchmetrics.classification import MulticlassJaccardIndex

    pairs = [draw_dense_pair(generator, (366, 500)) for _ in range(10)]

    def ours() -> NDArray[np.float64]:
        confusion = Confusion(CLASSES)
        for truth, predicted in pairs:
            confusion.update(truth, predicted)
        return compute_iou(confusion.matrix)

    def theirs() -> NDArray[np.float32]:
        metric = MulticlassJaccardIndex(CLASSES + 1, average="none", ignore_index=255, validate_args=False)
        for truth, predicted in pairs:
            metric.update(*(torch.from_numpy(each).long() for each in (predicted, truth)))
        return metric.compute().numpy()

    agree = np.allclose(ours(), theirs(), rtol=1e-6)
    return rate(race({"wsl": ours, "torchmetrics": theirs}, repeats), "wsl", "torchmetrics") | {"agree": agree}


def find_goal(name: str) -> float | None:
    """Goals are for 60 thresholds; more thresholds only help."""
    return next((goal for key, goal in GOALS.items() if name.startswith(key)), None)


def main() -> int:
    """Runs all races; exit code 1 when any results differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--thresholds", type=int, nargs="+", default=[60, 100])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of OpenCV and torch")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bench_segmentation.json")
    given = parser.parse_args()
    import torch

    cv2.setNumThreads(given.threads)
    torch.set_num_threads(given.threads)
    result = describe_setting(("numba", "torchmetrics")) | {"settings": vars(given)}
    print(f"{result['date']}, {result['cpu']}, {given.threads} threads, load {result['load_at_start']}")
    result["races"] = {}
    for name, outcome in iterate_races(given):
        result["races"][name] = outcome | {"goal": find_goal(name)}
        ratio, goal = outcome["ratio"], find_goal(name)
        shown = f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})"
        print(
            f"  {name}: ratio {shown}{f', goal {goal:g}' if goal else ''}; {'agree' if outcome['agree'] else 'DIFFER'}"
        )
    if given.save:
        print("saved", save_result("bench_segmentation", result))
    return 0 if all(outcome["agree"] for outcome in result["races"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
