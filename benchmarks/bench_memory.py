"""Peak memory of the stages of a run does not grow with the number of images.

Each stage runs in a fresh process on few and on many drawn images; the peak is that of the largest process of the stage
(the command itself or one of its workers), as the operating system counts it. No training: a small CNN with random
weights is saved as the checkpoint.

    python benchmarks/bench_memory.py --few 100 --many 1000 --save
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from measuring import describe_setting, save_result

ROOT = Path(__file__).parents[1]
STAGES = ("cams", "boxes", "seeds", "refine", "evaluate", "export")
IMAGE_SIZE = 64
CHECKPOINT = "checkpoint.safetensors"
BOUND = 30.0  # MB that a stage may take more for the many images than for the few


def prepare(folder: Path, few: int, many: int) -> None:
    """Draws both data sets and saves a classifier."""
    from wsl.data.synthetic import DRAWN_CLASSES, draw_dataset
    from wsl.models import CheckpointMeta, build_classifier, save_checkpoint

    for count in (few, many):
        draw_dataset(folder / f"data_{count}", train=count - 1, val=1, image_size=IMAGE_SIZE, seed=0)
    classifier, _ = build_classifier("small_cnn", num_outputs=len(DRAWN_CLASSES), output_stride=8, seed=0)
    meta = CheckpointMeta(
        "small_cnn", 8, "pooled", DRAWN_CLASSES, "background", False, "multi", IMAGE_SIZE, "benchmark", {}
    )  # fmt: skip
    save_checkpoint(folder / CHECKPOINT, classifier, meta)


def prepare_elsewhere(folder: Path, few: int, many: int) -> None:
    """Prepares in another process: a command's peak counts from its parent's size, so this one has to stay small."""
    process = get_context("spawn").Process(target=prepare, args=(folder, few, many))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise SystemExit("The drawn data could not be prepared.")


def measure_stage(folder: Path, count: int, stage: str, given: argparse.Namespace) -> dict[str, float]:
    """Peak in MB and seconds of one stage, run as a user would."""
    command = [sys.executable, "-m", "wsl", stage, "--quiet", f"output={folder / f'run_{count}'}", "device=cpu"]
    command += [
        f"data.root={folder / f'data_{count}'}",
        f"model.checkpoint={folder / CHECKPOINT}",
        f"workers={given.workers}",
    ]
    command += [f"refine.method={given.refine}"]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{output.decode(errors='replace')}")
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
    return {"peak_mb": round(usage.ru_maxrss * unit / 1e6, 1), "seconds": round(time.perf_counter() - began, 1)}


def measure(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Every stage on both data sets."""
    prepare_elsewhere(folder, given.few, given.many)
    stages: dict[str, Any] = {}
    for stage in STAGES:
        few, many = (measure_stage(folder, count, stage, given) for count in (given.few, given.many))
        growth = round(many["peak_mb"] - few["peak_mb"], 1)
        per_image = round(growth * 1000 / (given.many - given.few), 2)
        stages[stage] = {"few": few, "many": many, "growth_mb": growth, "growth_kb_per_image": per_image}
        print(
            f"  {stage:9} {few['peak_mb']:7.1f} MB -> {many['peak_mb']:7.1f} MB: {growth:+6.1f} MB, "
            f"{per_image:+6.2f} KB per image ({few['seconds']:.0f} s, {many['seconds']:.0f} s)",
            flush=True,
        )
    return stages


def main() -> int:
    """Measures all stages; exit code 1 when one of them grows by more than the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--refine", choices=("pamr", "dense_crf", "region_grow", "none"), default="pamr")
    parser.add_argument("--bound", type=float, default=BOUND, help="largest growth in MB")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bench_memory.json")
    given = parser.parse_args()
    result = describe_setting() | {"settings": vars(given) | {"image_size": IMAGE_SIZE}}
    print(f"{result['date']}, {result['cpu']}; peak memory with {given.few} and with {given.many} images")
    with tempfile.TemporaryDirectory() as folder:
        result["stages"] = measure(Path(folder), given)
    worst = max(stage["growth_mb"] for stage in result["stages"].values())
    result |= {"largest_growth_mb": worst, "bounded": worst <= given.bound}
    print(f"  largest growth {worst:.1f} MB, bound {given.bound:.0f} MB: {'ok' if result['bounded'] else 'TOO MUCH'}")
    if given.save:
        print("saved", save_result("bench_memory", result))
    return 0 if result["bounded"] else 1


if __name__ == "__main__":
    sys.exit(main())
