"""Dense CRF of a batch of images on a GPU against our own CPU path, image by image on one core.

Same photographs (500x375), same label energies, IRN's constants. Without a CUDA device it says so in one line.

    python benchmarks/bench_crf_gpu.py --batch 16 --repeats 5 --save
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from measuring import describe_setting, find_data, save_result, summarise
from numpy.typing import NDArray
from PIL import Image

from wsl.refine.crf import DenseField
from wsl.refine.crf.torch_field import TorchField
from wsl.refine.crf.unary import compute_label_unary
from wsl.refine.dense_crf import make_kernels
from wsl.refine.presets import PRESETS

GOAL = 15.0
SIZE = (375, 500)
LARGEST_DIFFERENCE = 1e-3
SMALLEST_EQUAL = 0.9999

Batch = NDArray[Any]


def prepare(batch: int, labels: int, size: tuple[int, int]) -> tuple[Batch, Batch]:
    """(images uint8 (B, H, W, 3), energies float32 (B, L, H, W)): photographs, and blobs as hard labels."""
    paths = sorted((find_data() / "data" / "coco_mini").rglob("*.jpg"))[:batch]
    images = np.stack([np.asarray(Image.open(path).convert("RGB").resize(size[::-1])) for path in paths])
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*(np.linspace(0, 1, length) for length in size), indexing="ij"))
    unaries = []
    for _ in images:
        seeds = np.zeros(size, np.intp)
        for label in range(1, labels):
            centre, width = rng.uniform(0.25, 0.75, (2, 1, 1)), rng.uniform(0.1, 0.3, (2, 1, 1))
            seeds[(((grid - centre) / width) ** 2).sum(0) < 1] = label
        unaries.append(compute_label_unary(seeds, labels, 0.7))
    return images, np.stack(unaries)


def run_cpu(images: Batch, unaries: Batch) -> Batch:
    """One image after the other: lattice and 10 iterations."""
    kernels = make_kernels(PRESETS["irn"])
    return np.stack([DenseField(image, kernels).infer(own, 10) for image, own in zip(images, unaries, strict=True)])


def run_torch(images: Batch, unaries: Batch, device: str) -> Batch:
    """The batch at once, copies to and from the device included."""
    features = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    field = TorchField(features, make_kernels(PRESETS["irn"]))
    return np.asarray(field.infer(torch.from_numpy(unaries).to(device), 10).cpu().numpy())


def race(sides: dict[str, Callable[[], Batch]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each side, in turns, the order changing each time."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats):
        for name in list(sides)[:: 1 if repeat % 2 else -1]:
            began = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def compare(first: Batch, second: Batch) -> dict[str, float]:
    """Share of equal labels, and the largest difference of Q."""
    equal = float((first.argmax(1) == second.argmax(1)).mean())
    return {"equal_labels": equal, "largest_difference": float(np.abs(first - second).max())}


def main() -> int:
    """Runs the race; exit code 1 when the two sides do not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--labels", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--height", type=int, default=SIZE[0])
    parser.add_argument("--width", type=int, default=SIZE[1])
    parser.add_argument("--device", default="cuda", help="cpu runs the torch form without a GPU, to see that it agrees")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bench_crf_gpu.json")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        print("bench_crf_gpu: no CUDA device here, nothing measured.")
        return 0
    torch.set_num_threads(1)
    images, unaries = prepare(given.batch, given.labels, (given.height, given.width))
    sides = {"cpu": lambda: run_cpu(images, unaries), "torch": lambda: run_torch(images, unaries, given.device)}
    agreement = compare(*(side() for side in sides.values()))  # compiles and warms up as well
    seconds = race(sides, given.repeats)
    ratios = [slow / fast for slow, fast in zip(*seconds.values(), strict=True)]
    result = describe_setting(("numba",)) | {"settings": vars(given), "agreement": agreement, "goal": GOAL}
    result["gpu"] = torch.cuda.get_device_name() if given.device == "cuda" else "none"
    result["ms_per_image"] = {
        name: summarise([1000 * value / len(images) for value in own]) for name, own in seconds.items()
    }
    result["ratio"] = summarise(ratios)
    tell(result)
    if given.save:
        print("saved", save_result("bench_crf_gpu", result))
    agree = agreement["equal_labels"] >= SMALLEST_EQUAL and agreement["largest_difference"] < LARGEST_DIFFERENCE
    return 0 if agree else 1


def tell(result: dict[str, Any]) -> None:
    """The outcome in a few lines."""
    ratio, agreement = result["ratio"], result["agreement"]
    print(f"{result['date']}, {result['cpu']}, GPU {result['gpu']}, load {result['load_at_start']}")
    for name, own in result["ms_per_image"].items():
        print(f"  {name}: {own['median']:.1f} ms/image ({own['min']:.1f} to {own['max']:.1f})")
    print(f"  ratio: {ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f}), goal {result['goal']} on a GPU")
    print(f"  equal labels {agreement['equal_labels']:.6f}, largest |dQ| {agreement['largest_difference']:.1e}")


if __name__ == "__main__":
    sys.exit(main())
