"""MaxBoxAcc V1 and V2 at 1000 thresholds on 224 x 224 maps: one pass of ours against the protocol's loop, in turns.

    python benchmarks/bench_max_box_acc.py --save

The loop is the published evaluation, written again from its protocol: at each threshold OpenCV's contours, a Python
list of boxes, and the best IoU. `published` keeps what its code costs: the maximum over the true boxes is computed anew
over the boxes of all thresholds for every single threshold. `hoisted` computes it once, which compares the methods
alone. The loop runs once for V1 and once for V2; ours, the whole `MaxBoxAcc.update` of a map, gives both in one pass,
and its time stands against V1 alone, V2 alone and both. `opencv` is ours without numba, `compiled` with it.
Exit code 1 unless the best IoU of every map at every threshold is the same number.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import cv2
import numpy as np
from measuring import describe_setting, save_result, summarise
from numpy.typing import NDArray
from scipy import ndimage

from wsl.compiled import SWITCH, load_compiled
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.types import Box

SIDE = 224
THRESHOLDS = np.arange(0, 1, 0.001)
KINDS = ("7x7", "14x14", "28x28", "refined", "noisy")
GOALS = {"opencv": {"V1 + V2": 25, "V2": 50}, "compiled": {"V1 + V2": 50, "V2": 100}}  # against `published`; V2: wished
Map = NDArray[np.float64]
Boxes = NDArray[np.int64]


def make_map(kind: str, generator: np.random.Generator) -> Map:
    """A map in [0, 1]: an upsampled grid, one that follows an edge, or one with noise on it."""
    cells = int(kind.split("x")[0]) if "x" in kind else 14
    coarse = ndimage.gaussian_filter(generator.random((cells, cells)), 0.7)
    rows, columns = np.indices((cells, cells)) / cells
    centre = generator.uniform(0.3, 0.7, 2)
    coarse += 0.5 * np.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / 0.05)
    values = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    if kind == "refined":
        values *= 0.2 + 0.8 * (cv2.GaussianBlur(generator.random((SIDE, SIDE)), (0, 0), 8) > 0.5)
        values = cv2.bilateralFilter(values.astype(np.float32), 5, 0.1, 3).astype(np.float64)
    if kind == "noisy":
        values += generator.normal(0, 0.1, values.shape)
    values -= values.min()
    return values / values.max()


def make_truth(generator: np.random.Generator) -> Boxes:
    """One or two true boxes."""
    corner = generator.integers(10, 100, (generator.integers(1, 3), 2))
    return np.concatenate([corner, corner + generator.integers(30, 110, corner.shape)], axis=1)


def list_boxes(score_map: Map, multi: bool) -> tuple[Boxes, list[int]]:
    """The loop's boxes of all thresholds, and how many each threshold has."""
    image = (score_map * 255).astype(np.uint8)
    boxes, counts = [], []
    for threshold in THRESHOLDS:
        _, binary = cv2.threshold(image, int(threshold * np.max(image)), 255, cv2.THRESH_BINARY)
        contours = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
        if not multi:
            contours = [max(contours, key=cv2.contourArea)]
        for contour in contours:
            x, y, w, h = cv2.boundingRect(contour)
            boxes.append([x, y, min(x + w, SIDE - 1), min(y + h, SIDE - 1)])
        counts.append(len(contours))
    return np.array(boxes), counts


def list_overlaps(boxes: Boxes, truth: Boxes) -> NDArray[np.float64]:
    """IoU with both ends counted, (boxes, true boxes)."""
    low = np.maximum(boxes[:, None, :2], truth[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], truth[None, :, 2:])
    both = np.prod(np.maximum(high - low + 1, 0), axis=2)
    areas = [np.prod(each[:, 2:] - each[:, :2] + 1, axis=1) for each in (boxes, truth)]
    return both / (areas[0][:, None] + areas[1][None, :] - both)


def run_loop(score_map: Map, truth: Boxes, multi: bool, hoist: bool) -> list[float]:
    """Best IoU at each threshold."""
    boxes, counts = list_boxes(score_map, multi)
    overlaps = list_overlaps(boxes, truth)
    best, start = [], 0
    per_box = overlaps.max(1)
    for count in counts:
        found = per_box if hoist else overlaps.max(1)
        best.append(max(found[start : start + count]))
        start += count
    return best


def run_ours(metric: MaxBoxAcc, score_map: Map, truth: Boxes) -> MaxBoxAcc:
    """The accumulator as a user calls it, with the curves that the comparison needs."""
    boxes = [Box(tuple(map(float, corners)), 1) for corners in truth]
    metric.update(score_map, boxes, (SIDE, SIDE), "map")
    return metric


def make_metric() -> MaxBoxAcc:
    """An empty accumulator; a user makes one for a whole data set, so it is not timed."""
    return MaxBoxAcc(protocol="wsolevaluation", keep_curves=True)


def set_compiled(way: str) -> None:
    """Turns the compiled module on or off."""
    os.environ[SWITCH] = "1" if way == "compiled" else "0"


def clock(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result."""
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def race(score_map: Map, truth: Boxes, ways: Sequence[str]) -> tuple[dict[str, float], bool]:
    """Seconds of each side on one map, one after the other, and whether all agree."""
    seconds: dict[str, float] = {}
    expected = []
    for name, multi in (("V1", False), ("V2", True)):
        for style in ("published", "hoisted"):
            call = partial(run_loop, score_map, truth, multi, style == "hoisted")
            seconds[f"{style} {name}"], best = clock(call)
        expected.append(best)
    agree = True
    for way in ways:
        set_compiled(way)
        laps = [clock(partial(run_ours, make_metric(), score_map, truth)) for _ in range(3)]
        seconds[way] = median(lap for lap, _ in laps)
        curves = laps[0][1].curves()
        place = np.searchsorted(curves.thresholds, THRESHOLDS, side="right") - 1
        agree &= np.array_equal(curves.best[0][:, place], np.array(expected))
    return seconds, agree


def measure(kind: str, maps: int, ways: Sequence[str]) -> dict[str, Any]:
    """Ratios over the maps of one kind: time of the loop by time of ours."""
    generator = np.random.default_rng(list(KINDS).index(kind))
    laps, agree = [], True
    for _ in range(maps):
        seconds, same = race(make_map(kind, generator), make_truth(generator), ways)
        laps.append(seconds)
        agree &= same
    result: dict[str, Any] = {"agree": bool(agree)}
    result["milliseconds"] = {name: summarise([1e3 * lap[name] for lap in laps]) for name in laps[0]}
    for way in ways:
        for style in ("published", "hoisted"):
            for name in ("V1", "V2"):
                ratios = [lap[f"{style} {name}"] / lap[way] for lap in laps]
                result[f"{way}: {style} {name}"] = summarise(ratios)
            both = [(lap[f"{style} V1"] + lap[f"{style} V2"]) / lap[way] for lap in laps]
            result[f"{way}: {style} V1 + V2"] = summarise(both)
    return result


def main() -> int:
    """Runs all kinds of maps; exit code 1 when a number differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=int, default=10, help="maps of each smooth kind; a fifth of it of noisy ones")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bench_max_box_acc.json")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    set_compiled("compiled")
    module = load_compiled("wsl.evaluate.localization.tree_steps_compiled")
    ways = ["opencv"] + (["compiled"] if module else [])
    run_ours(make_metric(), make_map("7x7", np.random.default_rng(9)), make_truth(np.random.default_rng(9)))  # compiles
    result: dict[str, Any] = describe_setting(("numba",)) | {"goals": GOALS, "thresholds": len(THRESHOLDS)}
    for kind in given.kinds:
        maps = max(1, given.maps // 5) if kind == "noisy" else given.maps
        result[kind] = measure(kind, maps, ways)
        tell(kind, result[kind], ways)
    if given.save:
        print("saved", save_result("bench_max_box_acc", result))
    return 0 if all(result[kind]["agree"] for kind in given.kinds) else 1


def tell(kind: str, result: dict[str, Any], ways: Sequence[str]) -> None:
    """Times and ratios of one kind of map."""
    print(f"{kind}: {'same numbers' if result['agree'] else 'NUMBERS DIFFER'}")
    times = ", ".join(f"{name} {row['median']:.1f}" for name, row in result["milliseconds"].items())
    print(f"  ms per map: {times}")
    for way in ways:
        for name in (
            "published V1",
            "published V2",
            "published V1 + V2",
            "hoisted V1",
            "hoisted V2",
            "hoisted V1 + V2",
        ):
            row = result[f"{way}: {name}"]
            goal = GOALS[way].get(name.removeprefix("published "))
            wanted = f", goal {goal}" if goal else ""
            print(f"  {way}: {name}: {row['median']:.1f} ({row['min']:.1f} to {row['max']:.1f}){wanted}")


if __name__ == "__main__":
    sys.exit(main())
