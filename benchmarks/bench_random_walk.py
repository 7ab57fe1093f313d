"""The random walk of an image against the published way, a dense matrix squared, in turns.

IRN's walk: radius 5, beta 10, 256 steps, the 94x125 grid of a 375x500 image at stride 4, affinity included. The dense
matrix of that grid has 11,750^2 elements and takes 26 TFLOP, so the dense power runs on a smaller grid and its time is
scaled by its operations, the cube of the ratio of the numbers of cells (goal: 100x, and ours under 1 s). Checked:
the small grid against the dense power in float64, the full one against all steps of the sparse matrix in float64.

    python benchmarks/bench_random_walk.py --repeats 5 --save
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from measuring import describe_setting, save_result, summarise
from numpy.typing import NDArray

from wsl.compiled import SWITCH
from wsl.refine.walk.affinity import Affinity
from wsl.refine.walk.paths import compute_path_affinity
from wsl.refine.walk.power import walk
from wsl.refine.walk.sparse import build_matrix
from wsl.refine.walk.stencil import build_stencil

BETA, TIMES, RADIUS = 10, 8, 5
GOALS = {"ratio": 100.0, "seconds": 1.0}
AGREE = 1e-5
Floats = NDArray[np.float32]
Call = Callable[[], NDArray[Any]]


def draw(generator: np.random.Generator, size: tuple[int, int], planes: int) -> tuple[Floats, Floats]:
    """A smooth edge map (h, w) with free regions, and smooth scores (K, h, w)."""
    height, width = size
    coarse = generator.random((planes + 1, 16, 20), dtype=np.float32)
    fine = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in coarse])
    return np.clip(1.6 * fine[0] - 0.5, 0, 1), np.clip(1.5 * fine[1:] - 0.5, 0, 1)


def make_dense(affinity: Affinity) -> Floats:
    """(N, N), A_ii = 1."""
    height, width = affinity.size
    matrix = np.eye(height * width, dtype=np.float32)
    for plane, (dy, dx) in zip(affinity.values, affinity.offsets, strict=True):
        rows, columns = np.nonzero(plane)
        here, there = rows * width + columns, (rows + dy) * width + columns + dx
        matrix[here, there] = matrix[there, here] = plane[rows, columns]
    return matrix


def walk_densely(edges: Floats, vectors: Floats, dtype: type) -> NDArray[Any]:
    """As published: all pairs, elementwise power, columns divided by their sums, the matrix squared 8 times."""
    transition = make_dense(compute_path_affinity(edges, RADIUS)).astype(dtype) ** BETA
    transition /= transition.sum(axis=0, keepdims=True)
    for _ in range(TIMES):
        transition = transition @ transition
    return (vectors.reshape(len(vectors), -1) @ transition).reshape(vectors.shape)


def walk_sparsely(edges: Floats, vectors: Floats, tolerance: float = 1e-7) -> Floats:
    """wsl: affinity and walk."""
    return walk(vectors, compute_path_affinity(edges, RADIUS), BETA, 2**TIMES, tolerance)


def walk_exactly(edges: Floats, vectors: Floats) -> NDArray[np.float64]:
    """All 256 steps of the sparse matrix in float64."""
    stencil = build_stencil(compute_path_affinity(edges, RADIUS), BETA)
    matrix, columns = build_matrix(stencil), stencil.lay_out(vectors).T.astype(np.float64)
    for _ in range(2**TIMES):
        columns = matrix @ columns
    return stencil.take_back(columns.T)


def without_numba(call: Call) -> Call:
    def run() -> NDArray[Any]:
        os.environ[SWITCH] = "0"
        try:
            return call()
        finally:
            os.environ[SWITCH] = "1"

    return run


def race(calls: dict[str, Call], repeats: int) -> dict[str, list[float]]:
    """Processor seconds of each call, in turns, the order changing; one untimed round first.

    All threads of this process count, and nobody else's: with one thread it is the time that a free core would take.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        pairs = list(calls.items())
        for name, call in pairs if repeat % 2 else reversed(pairs):
            began = time.process_time()
            call()
            if repeat:
                seconds[name].append(time.process_time() - began)
    return seconds


def find_errors(small: tuple[Floats, Floats], full: tuple[Floats, Floats]) -> dict[str, float]:
    """Largest differences of values up to 1."""
    dense = walk_densely(*small, np.float64)
    exact = walk_exactly(*full)
    return {
        "small grid, dense power in float64": float(np.abs(walk_sparsely(*small) - dense).max()),
        "small grid, dense power in float64, all steps": float(np.abs(walk_sparsely(*small, 0) - dense).max()),
        "full grid, sparse steps in float64": float(np.abs(walk_sparsely(*full) - exact).max()),
    }


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Seconds, ratios and errors."""
    generator = np.random.default_rng(given.seed)
    small, full = (draw(generator, tuple(size), given.planes) for size in (given.small, given.full))
    growth = (np.prod(given.full) / np.prod(given.small)) ** 3
    calls: dict[str, Call] = {
        "wsl": lambda: walk_sparsely(*full),
        "wsl, all steps": lambda: walk_sparsely(*full, 0),
        "wsl without numba": without_numba(lambda: walk_sparsely(*full)),
        "dense power, small grid": lambda: walk_densely(*small, np.float32),
    }
    seconds = race(calls, given.repeats)
    dense = [growth * value for value in seconds["dense power, small grid"]]
    ratios = {
        name: summarise([there / here for here, there in zip(seconds[name], dense, strict=True)])
        for name in ("wsl", "wsl, all steps", "wsl without numba")
    }
    errors = find_errors(small, full)
    return {
        "seconds": {name: summarise(values) for name, values in seconds.items()},
        "dense power scaled by": round(float(growth), 1),
        "dense power, seconds on the full grid (scaled)": summarise(dense),
        "ratios": ratios,
        "errors": errors,
        "agree": max(errors.values()) <= AGREE,
        "goals": GOALS,
    }


def main() -> int:
    """Runs all; exit code 1 when any results differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", type=int, nargs=2, default=[94, 125], help="grid of a 375x500 image at stride 4")
    parser.add_argument("--small", type=int, nargs=2, default=[36, 48], help="grid of the dense power")
    parser.add_argument("--planes", type=int, default=2, help="classes")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bench_random_walk.json")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    result = describe_setting(("numba", "scipy")) | {"settings": vars(given)} | measure(given)
    print(f"{result['date']}, {result['cpu']}, processor seconds, load {result['load_at_start']}")
    for name, ratio in result["ratios"].items():
        seconds = result["seconds"][name]
        print(
            f"  {name}: {1000 * seconds['median']:.1f} ms ({1000 * seconds['min']:.1f} to "
            f"{1000 * seconds['max']:.1f}), ratio {ratio['median']:.0f} ({ratio['min']:.0f} to {ratio['max']:.0f})"
        )
    scaled = result["dense power, seconds on the full grid (scaled)"]["median"]
    print(f"  dense power on the full grid: {scaled:.0f} s, scaled from {given.small[0]}x{given.small[1]}")
    for name, error in result["errors"].items():
        print(f"  {name}: largest difference {error:.1e}")
    if given.save:
        print("saved", save_result("bench_random_walk", result))
    return 0 if result["agree"] else 1


if __name__ == "__main__":
    sys.exit(main())
