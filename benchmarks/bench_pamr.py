"""PAMR of an image against the published torch module, rewritten literally, in turns.

10 iterations, dilations 1, 2, 4, 8, 12 and 24, 500x375, one and two planes; thread CPU time with one thread on both
sides (goal: 8x), and two threads: images side by side here, torch's own threads there. Checked: equal planes to 2e-5.

    python benchmarks/bench_pamr.py --repeats 7 --save
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before torch is loaded; the number in use is set below

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import torch
from measuring import describe_setting, find_data, save_result, summarise
from numpy.typing import NDArray
from torch.nn import functional

from wsl.data.images import read_image
from wsl.refine.pamr import Pamr

ITERATIONS, DILATIONS = 10, (1, 2, 4, 8, 12, 24)
GOAL, AGREE = 8.0, 2e-5
SIZE = (375, 500)
Floats = NDArray[np.float32]
Pair = tuple[Floats, Floats]  # image (3, H, W) in 0..255, planes (K, H, W)


def make_pairs(images: int, planes: int) -> list[Pair]:
    """Photographs of coco_mini at 500x375, each with smooth planes in [0, 1] as score maps are."""
    generator = np.random.default_rng(0)
    paths = sorted((find_data() / "data" / "coco_mini" / "images").iterdir())[:images]
    pairs = []
    for path in paths:
        picture = cv2.resize(read_image(path), SIZE[::-1], interpolation=cv2.INTER_AREA)
        coarse = generator.random((planes, 12, 16), dtype=np.float32)
        fine = [cv2.resize(one, SIZE[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1) for one in coarse]
        pairs.append((np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32), np.stack(fine)))
    return pairs


class Stencil(torch.nn.Module):
    """A fixed kernel (N, 1, 3, 3) run over every channel at every dilation; edges repeated. (B, C, D * N, H, W)."""

    def __init__(self, kernel: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("kernel", kernel)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        flat, found = x.reshape(batch * channels, 1, height, width), []
        for step in DILATIONS:
            padded = functional.pad(flat, [step] * 4, mode="replicate")
            found.append(functional.conv2d(padded, self.kernel, dilation=step))
        return torch.cat(found, 1).view(batch, channels, -1, height, width)


def make_kernels() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Kernels that give the 8 neighbours, the pixel less each of them, and the 9 values of the window."""
    window = torch.eye(9).view(9, 1, 3, 3)
    copies = torch.cat([window[:4], window[5:]])
    return copies, window[4:5] - copies, window


class Published(torch.nn.Module):
    """Local affinities from absolute differences over the local deviation, then weighted sums of neighbours."""

    def __init__(self) -> None:
        super().__init__()
        copies, differences, window = make_kernels()
        self.copy, self.difference, self.window = Stencil(copies), Stencil(differences), Stencil(window)

    @torch.no_grad()
    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        mask = functional.interpolate(mask, size=x.shape[-2:], mode="bilinear", align_corners=True)
        deviation = self.window(x).std(2, keepdim=True)
        affinity = -self.difference(x).abs() / (1e-8 + 0.1 * deviation)
        weights = functional.softmax(affinity.mean(1, keepdim=True), 2)
        for _ in range(ITERATIONS):
            mask = (self.copy(mask) * weights).sum(2)
        return mask


def run_ours(pair: Pair) -> Floats:
    return Pamr(ITERATIONS, DILATIONS).average(*pair)


def run_theirs(pair: Pair) -> Floats:
    image, planes = (torch.from_numpy(one)[None] for one in pair)
    return np.asarray(Published()(image / 255, planes)[0])


def spend(call: Callable[[], object], clock: Callable[[], float]) -> float:
    began = clock()
    call()
    return clock() - began


def race_one_thread(pairs: Sequence[Pair], repeats: int) -> dict[str, Any]:
    """Thread CPU seconds per image of both, image by image in turns."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    ours, theirs = [], []
    for repeat in range(repeats):
        pair = pairs[repeat % len(pairs)]
        ours.append(spend(lambda pair=pair: run_ours(pair), time.thread_time))
        theirs.append(spend(lambda pair=pair: run_theirs(pair), time.thread_time))
    return sum_up(ours, theirs)


def race_two_threads(pairs: Sequence[Pair], repeats: int) -> dict[str, Any]:
    """Wall seconds per image: two threads of ours with an image each, against torch with two threads."""
    torch.set_num_threads(2)
    ours, theirs = [], []
    with ThreadPoolExecutor(2) as pool:
        for repeat in range(repeats):
            both = [pairs[repeat % len(pairs)], pairs[(repeat + 1) % len(pairs)]]
            ours.append(spend(lambda both=both: list(pool.map(run_ours, both)), time.perf_counter) / 2)
            theirs.append(spend(lambda both=both: [run_theirs(one) for one in both], time.perf_counter) / 2)
    return sum_up(ours, theirs)


def sum_up(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    return {
        "ratio": summarise([peer / own for own, peer in zip(ours, theirs, strict=True)]),
        "seconds": {"wsl": summarise(ours), "torch module": summarise(theirs)},
    }


def run_row(planes: int, repeats: int, images: int) -> dict[str, Any]:
    """Agreement and both races for K = planes."""
    pairs = make_pairs(images, planes)
    difference = max(float(np.abs(run_ours(pair) - run_theirs(pair)).max()) for pair in pairs)
    one, two = race_one_thread(pairs, repeats), race_two_threads(pairs, repeats)
    return {"planes": planes, "largest_difference": difference, "one_thread": one, "two_threads": two}


def tell(result: dict[str, Any]) -> None:
    print(f"{result['date']}, {result['cpu']}, load {result['load_at_start']}")
    for row in result["rows"]:
        print(f"K={row['planes']}: largest difference {row['largest_difference']:.1e}")
        for name, goal in (("one_thread", f", goal {GOAL}"), ("two_threads", "")):
            ratio, seconds = row[name]["ratio"], row[name]["seconds"]
            print(
                f"  {name}: {1000 * seconds['wsl']['median']:.0f} ms against "
                f"{1000 * seconds['torch module']['median']:.0f} ms per image, ratio {ratio['median']:.1f} "
                f"({ratio['min']:.1f} to {ratio['max']:.1f}){goal}"
            )


def main() -> int:
    """Runs both rows; exit code 1 when the planes do not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bench_pamr.json")
    given = parser.parse_args()
    result: dict[str, Any] = describe_setting(("numba",))
    result |= {"settings": {"iterations": ITERATIONS, "dilations": DILATIONS, "size": SIZE, "repeats": given.repeats}}
    result["rows"] = [run_row(planes, given.repeats, given.images) for planes in (1, 2)]
    tell(result)
    if given.save:
        print("saved", save_result("bench_pamr", result))
    return 0 if all(row["largest_difference"] < AGREE for row in result["rows"]) else 1


if __name__ == "__main__":
    sys.exit(main())
