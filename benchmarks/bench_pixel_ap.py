"""PxAP: wsl against the loop of its published protocol (np.histogram twice per map, masks decoded each time).

Same maps (224 x 224, float64, stored as arrays), same mask files (instances of coco_mini, at the size of the image),
same 1002 bins, one thread, in turns. Three rows: the histograms alone with the masks at hand; a first evaluation, in
which both sides decode the masks; and each further one (another method or epoch on the same images), in which the
protocol decodes them again and wsl remembers. Each with numba and without it.

    python benchmarks/bench_pixel_ap.py --images 60 --repeats 5 --save
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import describe_setting, find_data, save_result, summarise
from numpy.typing import NDArray

from wsl.data.images import read_image_size
from wsl.data.reader import open_dataset
from wsl.data.rle import segmentation_to_mask
from wsl.evaluate.localization.pixel_ap import PixelAp
from wsl.evaluate.localization.pixel_protocols import PIXEL_PROTOCOLS
from wsl.evaluate.wsol.masks import WsolMasks
from wsl.evaluate.wsol.metadata import MaskPaths, WsolMetadata
from wsl.types import Sample

SIDE = 224
PROTOCOL = "wsolevaluation_files"
EDGES = np.append(np.arange(0, 1, 0.001), [1.0, 2.0, 3.0])

Counts = NDArray[np.int64]  # (2, 1002), off and on the object
Pass = Callable[[], Counts]  # one evaluation of all images


@dataclass(frozen=True)
class Job:
    """Maps by image id, and where their masks are."""

    maps: dict[str, NDArray[np.float64]]
    metadata: WsolMetadata
    root: Path


def prepare(images: int, root: Path) -> Job:
    """Mask files of the first images of coco_mini under `root`, and maps that know something of them."""
    data = open_dataset(find_data() / "data" / "coco_mini", format="coco")
    samples = [sample for sample in data.samples if sample.instances][:images]
    paths = {sample.image_id: write_masks(sample, root) for sample in samples}
    ids = tuple(paths)
    metadata = WsolMetadata(root, ids, dict.fromkeys(ids, 1), {}, {}, paths, ())
    masks = WsolMasks(metadata, root, PIXEL_PROTOCOLS[PROTOCOL])
    maps = {image_id: make_map(index, masks.read(image_id)[0]) for index, image_id in enumerate(ids)}
    return Job(maps, metadata, root)


def write_masks(sample: Sample, root: Path) -> MaskPaths:
    """The instances (three at most) of the class of the largest one; the box of another object is ignored."""
    size = read_image_size(sample.image_path)
    every = sorted(sample.instances or (), key=lambda each: -float(segmentation_to_mask(each.segmentation, size).sum()))
    names = []
    for number, instance in enumerate(each for each in every if each.class_id == every[0].class_id):
        if number < 3:
            names.append(f"{sample.image_id.replace('/', '_')}_{number}.png")
            cv2.imwrite(str(root / names[-1]), segmentation_to_mask(instance.segmentation, size).astype(np.uint8) * 255)
    others = [each for each in every if each.class_id != every[0].class_id]
    if not others:
        return MaskPaths(tuple(names), None)
    ignored = np.zeros(size, np.uint8)
    x1, y1, x2, y2 = (int(side) for side in others[0].box.xyxy)
    ignored[y1:y2, x1:x2] = 255
    cv2.imwrite(str(root / f"{sample.image_id.replace('/', '_')}_ignore.png"), ignored)
    return MaskPaths(tuple(names), f"{sample.image_id.replace('/', '_')}_ignore.png")


def make_map(seed: int, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The mask seen at 14 x 14 with noise, enlarged and stretched: smooth as a CAM."""
    small = cv2.resize(mask.astype(np.float64), (14, 14), interpolation=cv2.INTER_AREA)
    small += np.random.default_rng(seed).random(small.shape) * 0.7
    values = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    values -= values.min()
    return values / values.max()


def load_published(job: Job, image_id: str) -> NDArray[np.uint8]:
    """The protocol's mask: 1 object, 0 not, 255 ignored; every file read and resized."""

    def load(name: str) -> NDArray[np.bool_]:
        values = cv2.imread(str(job.root / name), cv2.IMREAD_GRAYSCALE)
        return cv2.resize(values, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) > 0.5

    paths = job.metadata.masks[image_id]
    mask = np.stack([load(name) for name in paths.masks]).any(axis=0)
    ignore = np.zeros_like(mask) if paths.ignore is None else load(paths.ignore) & ~mask
    return mask.astype(np.uint8) + 255 * ignore.astype(np.uint8)


def count_published(maps: dict[str, NDArray[np.float64]], load: Callable[[str], NDArray[np.uint8]]) -> Counts:
    """The protocol's accumulation over all images."""
    counts = np.zeros((2, len(EDGES) - 1), np.float64)
    for image_id, score_map in maps.items():
        mask = load(image_id)
        for value in (0, 1):
            counts[value] += np.histogram(score_map[mask == value], bins=EDGES)[0].astype(np.float64)
    return counts.astype(np.int64)


def count_ours(job: Job, masks: WsolMasks | dict[str, Any]) -> Counts:
    """wsl's accumulation over all images."""
    metric = PixelAp(PROTOCOL, interval=0.001)
    read = masks.read if isinstance(masks, WsolMasks) else masks.__getitem__
    for image_id, score_map in job.maps.items():
        mask, ignore = read(image_id)
        metric.update(score_map, mask, ignore, 1, image_id)
    return metric.total()


def make_rows(job: Job) -> dict[str, tuple[Pass, Pass]]:
    """row -> (the protocol, wsl)."""
    remembered = WsolMasks(job.metadata, job.root, PIXEL_PROTOCOLS[PROTOCOL])
    pairs = {image_id: remembered.read(image_id) for image_id in job.maps}
    targets = {image_id: load_published(job, image_id) for image_id in job.maps}

    def anew() -> Counts:
        return count_published(job.maps, lambda image_id: load_published(job, image_id))

    return {
        "histograms alone": (
            lambda: count_published(job.maps, targets.__getitem__),
            lambda: count_ours(job, pairs),
        ),
        "first evaluation": (
            anew,
            lambda: count_ours(job, WsolMasks(job.metadata, job.root, PIXEL_PROTOCOLS[PROTOCOL])),
        ),
        "each further evaluation": (anew, lambda: count_ours(job, remembered)),
    }


def race(rows: dict[str, tuple[Pass, Pass]], images: int, repeats: int) -> dict[str, Any]:
    """Ratios of all rows, sides in turns, the order changing each time; `same` tells whether all counts agree."""
    result: dict[str, Any] = {}
    for name, sides in rows.items():
        same = bool(np.array_equal(sides[0](), sides[1]()))  # also compiles and fills the page cache
        seconds: tuple[list[float], list[float]] = ([], [])
        for repeat in range(repeats):
            for side in (0, 1) if repeat % 2 else (1, 0):
                began = time.perf_counter()
                sides[side]()
                seconds[side].append(time.perf_counter() - began)
        result[name] = {
            "same": same,
            "ratio": summarise([theirs / ours for theirs, ours in zip(*seconds, strict=True)]),
            "protocol_ms_per_map": summarise([1000 * value / images for value in seconds[0]]),
            "wsl_ms_per_map": summarise([1000 * value / images for value in seconds[1]]),
        }
    return result


def main() -> int:
    """Runs all rows; exit code 1 when counts differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bench_pixel_ap.json")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    result: dict[str, Any] = describe_setting(("numba",))
    with tempfile.TemporaryDirectory() as folder:
        job = prepare(given.images, Path(folder))
        rows = make_rows(job)
        result["settings"] = vars(given) | {"images": len(job.maps)}
        for name, switch in (("numba", "1"), ("numpy", "0")):
            os.environ["WSL_COMPILED"] = switch
            result[name] = race(rows, len(job.maps), given.repeats)
    tell(result)
    if given.save:
        print("saved", save_result("bench_pixel_ap", result))
    return 0 if all(row["same"] for name in ("numba", "numpy") for row in result[name].values()) else 1


def tell(result: dict[str, Any]) -> None:
    """The outcome in a few lines."""
    print(f"{result['date']}, {result['cpu']}, load {result['load_at_start']}, {result['settings']['images']} images")
    print(", ".join(f"{name} {version}" for name, version in result["versions"].items()))
    for name in ("numba", "numpy"):
        for row, measured in result[name].items():
            ratio, same = measured["ratio"], "same counts" if measured["same"] else "COUNTS DIFFER"
            print(
                f"  {name}, {row}: {measured['protocol_ms_per_map']['median']:.2f} -> "
                f"{measured['wsl_ms_per_map']['median']:.2f} ms/map, ratio {ratio['median']:.1f} "
                f"({ratio['min']:.1f} to {ratio['max']:.1f}), {same}"
            )


if __name__ == "__main__":
    sys.exit(main())
