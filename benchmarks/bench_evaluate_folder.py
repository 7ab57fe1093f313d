"""Ten thousand label maps of VOC size: seconds and peak memory of one process, of both cores, and of the usual script.

The usual script reads every pair, keeps predictions and truth in lists and counts at the end, as chainercv's evaluation
and IRN's do. Each side is a process of its own; the mIoU must be the same. Label maps are those of VOC 2012, the
predictions shifted by some pixels.

    python benchmarks/bench_evaluate_folder.py --images 10000 --save
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import describe_setting, find_data, save_result
from PIL import Image

CLASSES = tuple(f"class {index}" for index in range(1, 21))
FEW = 1000  # images of the run whose peak memory the full one is compared with
SOME = 3000  # as many as the usual script has room for: it keeps 2 MB per image


def write_folders(root: Path, images: int) -> None:
    """root/gt and root/pred with `images` label maps each."""
    sources = sorted((find_data() / "data" / "voc12_masks").glob("*.png"))
    for folder in ("gt", "pred"):
        (root / folder).mkdir(parents=True)
    for index in range(images):
        source, name = sources[index % len(sources)], f"{index:05d}.png"
        shutil.copyfile(source, root / "gt" / name)
        first = root / "pred" / f"{index % len(sources):05d}.png"
        if index < len(sources):
            _write_shifted(source, root / "pred" / name)
        else:
            shutil.copyfile(first, root / "pred" / name)


def _write_shifted(source: Path, target: Path) -> None:
    with Image.open(source) as image:
        values = np.array(image)
        shifted = Image.fromarray(np.where(values == 255, 0, np.roll(values, (3, 5), (0, 1))).astype(np.uint8))
        shifted.putpalette(image.getpalette())
    shifted.save(target)


def run_ours(root: Path, workers: int) -> float | None:
    """mIoU and its company with a row for every image."""
    from wsl.evaluate.files.label_map_folders import evaluate_label_maps
    from wsl.evaluate.files.options import EvaluateOptions
    from wsl.types import ClassSet

    options = EvaluateOptions(classes=ClassSet(CLASSES), workers=workers, metrics=("miou",))
    return evaluate_label_maps(root / "pred", root / "gt", options).scores[0].value


def run_script(root: Path) -> float:
    """Everything in lists, one confusion matrix at the end; predicted values are class ids, ground truth 255 is -1."""
    predictions, labels = [], []
    for path in sorted((root / "gt").iterdir()):
        labels.append(np.array(Image.open(path)).astype(np.int32))
        predictions.append(np.array(Image.open(root / "pred" / path.name)).astype(np.int64))
        labels[-1][labels[-1] == 255] = -1
        predictions[-1][predictions[-1] == 255] = 0
    confusion = np.zeros((21, 21), np.int64)
    for predicted, label in zip(predictions, labels, strict=True):
        known = label >= 0
        confusion += np.bincount(21 * label[known] + predicted[known], minlength=441).reshape(21, 21)
    hit = np.diag(confusion)
    return float(np.nanmean(hit / (confusion.sum(0) + confusion.sum(1) - hit)))


def measure(side: str, root: Path, workers: int) -> dict[str, Any]:
    """In a process of its own: seconds, peak memory in MB of it and of the largest of its own processes, mIoU."""
    command = [sys.executable, __file__, "--side", side, "--root", str(root), "--workers", str(workers)]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def run_side(side: str, root: Path, workers: int) -> None:
    """Prints what `measure` reads."""
    import resource

    began = time.perf_counter()
    value = run_script(root) if side == "script" else run_ours(root, workers)
    seconds = time.perf_counter() - began
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    peak = int(line.split()[1]) / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "largest_child_mb": children, "miou": value}))


def compare(images: int, workers: int) -> dict[str, Any]:
    """Ours on all images and on few, by one process and by several; both sides on the same SOME images."""
    with tempfile.TemporaryDirectory() as folder:
        many, some, few = (Path(folder) / name for name in ("many", "some", "few"))
        for root, count in ((many, images), (some, min(SOME, images)), (few, FEW)):
            write_folders(root, count)
        rows = {"one process": measure("ours", many, 1), f"{workers} processes": measure("ours", many, workers)}
        rows[f"{workers} processes, {FEW} images"] = measure("ours", few, workers)
        rows["one process, as many as the script"] = measure("ours", some, 1)
        rows["script"] = measure("script", some, 1)
    return rows


def main() -> int:
    """Exit code 1 when the mIoUs differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bench_evaluate_folder.json")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        run_side(given.side, given.root, given.workers)
        return 0
    result = describe_setting()
    rows = compare(given.images, given.workers)
    result |= {"settings": {"images": given.images, "workers": given.workers, "few": FEW, "script": SOME}, "rows": rows}
    for name, row in rows.items():
        children = f", largest child {row['largest_child_mb']:.0f} MB" if row["largest_child_mb"] > 1 else ""
        print(f"{name}: {row['seconds']:.1f} s, peak {row['peak_mb']:.0f} MB{children}, mIoU {row['miou']:.6f}")
    if given.save:
        print("saved", save_result("bench_evaluate_folder", result))
    pairs = (("one process", f"{given.workers} processes"), ("one process, as many as the script", "script"))
    return 0 if all(abs(rows[first]["miou"] - rows[second]["miou"]) < 1e-12 for first, second in pairs) else 1


if __name__ == "__main__":
    sys.exit(main())
