"""Bootstrap intervals over images: wsl's tables against the loop that sums the drawn images anew in each replicate.

Two cases: MaxBoxAccV2 of 20,000 images with its thresholds chosen anew in each of 200 replicates, and mIoU of 1449
images with 21 classes in 1000 replicates. The loops start from what wsl starts from, all hits and all counts already
known per image; that of mIoU is run on the marginals (true, predicted, hit) and, as most tools keep them, on the
confusion matrices of the images. Same draws, one thread each, in turns; the replicates must be equal.

    python benchmarks/bench_bootstrap.py --repeats 5 --save
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the loops have one thread, so wsl gets one as well

import numpy as np
from measuring import describe_setting, save_result, summarise
from numpy.typing import NDArray

from wsl.evaluate.certainty.box_curve_table import BoxCurveTable
from wsl.evaluate.certainty.resampling import Resampling, iterate_draws, replicate
from wsl.evaluate.certainty.segmentation_table import SegmentationTable
from wsl.evaluate.certainty.tables import ImageTable

Values = NDArray[np.float64]
CLASSES = 21
LARGEST_DIFFERENCE = 1e-12


@dataclass(frozen=True)
class Case:
    """One comparison: the same replicates by a table and by loops, (name, drawn images -> score)."""

    name: str
    table: ImageTable
    loops: dict[str, Callable[[NDArray[np.intp]], float]]
    resampling: Resampling


def make_box_case(images: int, thresholds: int, replicates: int) -> Case:
    """Curves that rise to a peak and fall, at a random place for each image."""
    generator = np.random.default_rng(0)
    steps = np.linspace(0, 1, thresholds, endpoint=False)
    centre, height = generator.normal(0.4, 0.15, (2, images, 1, 1)) + np.array([0, 0.2]).reshape(2, 1, 1, 1)
    noise = generator.normal(0, 0.02, (images, 2, thresholds))
    best = np.clip(height - 2 * (steps - centre) ** 2 + noise, 0, 1)
    ids, rows = tuple(map(str, range(images))), np.arange(images)
    table = BoxCurveTable(ids, rows, np.ones(images, np.int64), best, steps, threshold="oracle_each")
    hits = [best[:, 1] >= limit for limit in table.iou_thresholds]

    def loop(drawn: NDArray[np.intp]) -> float:
        return float(np.mean([each[drawn].mean(axis=0).max() for each in hits]))

    return Case(f"MaxBoxAccV2, {images} images, {thresholds} thresholds", table, {"hits": loop}, Resampling(replicates))


def make_segmentation_case(images: int, replicates: int) -> Case:
    """Confusion matrices with the background and one to three classes in each image."""
    generator = np.random.default_rng(1)
    confusions = np.zeros((images, CLASSES, CLASSES), np.int64)
    for matrix in confusions:
        present = np.append(0, generator.choice(np.arange(1, CLASSES), generator.integers(1, 4), replace=False))
        matrix[np.ix_(present, present)] = generator.integers(0, 9000, (len(present),) * 2)
        matrix[present, present] *= 5
    counts = np.stack([confusions.sum(axis=2), confusions.sum(axis=1), np.diagonal(confusions, axis1=1, axis2=2)], 2)
    rows, classes = np.nonzero(counts.any(axis=2))
    table = SegmentationTable(tuple(map(str, range(images))), rows, classes, *counts[rows, classes].T, CLASSES - 1)

    def average(true: NDArray[np.int64], predicted: NDArray[np.int64], hit: NDArray[np.int64]) -> float:
        union = true + predicted - hit
        return float((hit[union > 0] / union[union > 0]).mean())

    def loop(drawn: NDArray[np.intp]) -> float:
        return average(*counts[drawn].sum(axis=0).T)

    def loop_confusions(drawn: NDArray[np.intp]) -> float:
        matrix = confusions[drawn].sum(axis=0)
        return average(matrix.sum(axis=1), matrix.sum(axis=0), np.diagonal(matrix))

    loops = {"marginals": loop, "confusion matrices": loop_confusions}
    return Case(f"mIoU, {images} images, {CLASSES} classes", table, loops, Resampling(replicates))


def run_table(case: Case) -> Values:
    """All replicates by the table, drawing included."""
    images = len(case.table.image_ids)
    return replicate(lambda weights: case.table.measure(weights)[:, None], iterate_draws(images, case.resampling))[:, 0]


def run_loop(case: Case, loop: Callable[[NDArray[np.intp]], float]) -> Values:
    """All replicates by the loop, drawing included."""
    images = np.arange(len(case.table.image_ids))
    blocks = iterate_draws(len(images), case.resampling)
    return np.array([loop(np.repeat(images, times.astype(np.intp))) for block in blocks for times in block])


def race(case: Case, repeats: int) -> dict[str, Any]:
    """Seconds of all sides in turns, the largest difference between replicates, and the ratios."""
    sides: dict[str, Callable[[], Values]] = {"wsl": lambda: run_table(case)}
    sides |= {name: lambda loop=loop: run_loop(case, loop) for name, loop in case.loops.items()}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    found = {}
    for repeat in range(repeats):
        for name in list(sides) if repeat % 2 else reversed(list(sides)):
            began = time.perf_counter()
            found[name] = sides[name]()
            seconds[name].append(time.perf_counter() - began)
    ratios = {
        name: summarise([theirs / ours for ours, theirs in zip(seconds["wsl"], seconds[name], strict=True)])
        for name in case.loops
    }
    difference = max(float(np.abs(found["wsl"] - found[name]).max()) for name in case.loops)
    return {
        "replicates": case.resampling.replicates,
        "seconds": {name: summarise(values) for name, values in seconds.items()},
        "ratio": ratios,
        "largest_difference": difference,
    }


def main() -> int:
    """Runs both cases; exit code 1 when the replicates are not equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--box-images", type=int, default=20_000)
    parser.add_argument("--box-replicates", type=int, default=200)
    parser.add_argument("--thresholds", type=int, default=255)
    parser.add_argument("--images", type=int, default=1449)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bench_bootstrap.json")
    given = parser.parse_args()
    result: dict[str, Any] = describe_setting(("scipy",)) | {"settings": vars(given), "cases": {}}
    print(f"{result['date']}, {result['cpu']}, {result['cores']} cores, load {result['load_at_start']}")
    makers = (
        lambda: make_box_case(given.box_images, given.thresholds, given.box_replicates),
        lambda: make_segmentation_case(given.images, given.replicates),
    )
    for make in makers:
        case = make()
        row = result["cases"][case.name] = race(case, given.repeats)
        tell(case.name, row)
    if given.save:
        print("saved", save_result("bench_bootstrap", result))
    return 0 if all(row["largest_difference"] <= LARGEST_DIFFERENCE for row in result["cases"].values()) else 1


def tell(name: str, row: dict[str, Any]) -> None:
    """A case in a few lines."""
    print(f"{name}, {row['replicates']} replicates")
    for side, seconds in row["seconds"].items():
        ratio = row["ratio"].get(side)
        shown = f", ratio {ratio['median']:.1f} ({ratio['min']:.1f} to {ratio['max']:.1f})" if ratio else ""
        print(f"  {side}: {seconds['median']:.2f} s ({seconds['min']:.2f} to {seconds['max']:.2f}){shown}")
    print(f"  largest difference of a replicate: {row['largest_difference']:.1e}")


if __name__ == "__main__":
    sys.exit(main())
