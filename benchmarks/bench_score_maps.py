"""Score maps per second: wsl against the loop one would write today with pytorch-grad-cam.

Same images, same MobileNetV2 and weights, same layer, same class groups, same scales and flips, same machine, in turns.
Both deliver one float32 map per class in the image's own pixels.

    python benchmarks/bench_score_maps.py --images 20 --repeats 3 --save
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from measuring import describe_setting, find_data, save_result, summarise
from numpy.typing import NDArray
from PIL import Image

from wsl.cam.engine import compute_pyramids
from wsl.cam.fold import fold_batch_norms
from wsl.cam.groups import Groups, parse_groups
from wsl.cam.options import CamOptions
from wsl.cam.preset import get_preset
from wsl.cam.pyramid import fuse
from wsl.config import load_config
from wsl.data.images import read_image
from wsl.data.reader import open_dataset
from wsl.models import Classifier, build_classifier
from wsl.types import Sample

SCALES = (1.0, 0.5, 1.5, 2.0)
GOAL = 4.0
LARGEST_DIFFERENCE = 1e-3
SMALLEST_CORRELATION = 0.9

Maps = NDArray[np.float32]  # (K, H, W)
Make = Callable[[Sample, CamOptions], Maps]


@dataclass(frozen=True)
class Job:
    """What both sides are given."""

    samples: list[Sample]
    groups: Groups
    classifier: Classifier
    options: CamOptions


def prepare(images: int, long_side: int | None, method: str) -> Job:
    """The first images of coco_mini that show a class with a group."""
    root = find_data()
    data = open_dataset(root / "data" / "coco_mini", format="coco")
    weights = str(root / "weights" / "mobilenet_v2_imagenet.pth")
    classifier, _ = build_classifier("mobilenet_v2", weights=weights, head="original")
    groups = parse_groups(load_config("coco_mini", []).model.groups, data.classes, classifier.num_outputs)
    chosen = [
        replace(sample, class_ids=tuple(each for each in sample.class_ids or () if each in groups))
        for sample in data.samples
    ]
    samples = [sample for sample in chosen if sample.class_ids][:images]
    options = CamOptions(scales=SCALES, long_side=long_side, preset=get_preset("grad_cam"), method=method)
    return Job(samples, groups, classifier, options)


def make_ours(job: Job) -> Make:
    """wsl: every class of an image from one forward pass per scale."""
    model = copy.deepcopy(job.classifier)
    fold_batch_norms(model)  # as the cams stage does
    model = model.to(memory_format=torch.channels_last)

    def make(sample: Sample, options: CamOptions) -> Maps:
        image = read_image(sample.image_path)
        (pyramid,) = compute_pyramids(model, [image], [sample.image_id], [sample.class_ids], job.groups, options)
        return fuse(pyramid, options.preset).scores

    return make


def make_theirs(job: Job) -> Make:
    """pytorch-grad-cam: one call per class, scale and flip; maps turned back, resized and averaged."""
    from pytorch_grad_cam import GradCAM

    network = copy.deepcopy(job.classifier.net)
    grad_cam = GradCAM(model=network, target_layers=[network.features[-1]])
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (job.classifier.mean, job.classifier.std))

    def make(sample: Sample, options: CamOptions) -> Maps:
        picture = Image.open(sample.image_path).convert("RGB")
        width, height = picture.size
        total = np.zeros((len(sample.class_ids or ()), height, width), np.float32)
        for scale in options.scales:
            factor = scale * (options.long_side / max(picture.size) if options.long_side else 1.0)
            size = (max(round(width * factor), 32), max(round(height * factor), 32))
            small = picture if size == picture.size else picture.resize(size, Image.Resampling.BICUBIC)
            x = ((torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255 - mean) / std)[None]
            for row, class_id in enumerate(sample.class_ids or ()):
                target = _GroupTarget(job.groups[class_id])
                total[row] += cv2.resize(grad_cam(x, [target])[0], (width, height))
                if options.flip:
                    turned = grad_cam(x.flip(3), [target])[0][:, ::-1]
                    total[row] += cv2.resize(np.ascontiguousarray(turned), (width, height))
        return total / (len(options.scales) * (2 if options.flip else 1))

    return make


class _GroupTarget:
    """The score of a class group as pytorch-grad-cam wants it."""

    def __init__(self, outputs: tuple[int, ...]) -> None:
        self.outputs = list(outputs)

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.logsumexp(logits[self.outputs], 0)


def race(job: Job, ours: Make, theirs: Make, repeats: int) -> dict[str, Any]:
    """Seconds of both for all images, image by image in turns, the order changing each time."""
    for make in (ours, theirs):
        make(job.samples[0], job.options)
    seconds: dict[str, list[float]] = {"wsl": [], "pytorch-grad-cam": []}
    for repeat in range(repeats):
        spent = dict.fromkeys(seconds, 0.0)
        for index, sample in enumerate(job.samples):
            pair = [("wsl", ours), ("pytorch-grad-cam", theirs)]
            for name, make in pair if (index + repeat) % 2 else reversed(pair):
                began = time.perf_counter()
                make(sample, job.options)
                spent[name] += time.perf_counter() - began
        for name, value in spent.items():
            seconds[name].append(value)
    ratios = [theirs / ours for ours, theirs in zip(*seconds.values(), strict=True)]
    rates = {name: summarise([len(job.samples) / value for value in values]) for name, values in seconds.items()}
    return {"ratio": summarise(ratios), "images_per_second": rates}


def compare(job: Job, ours: Make, theirs: Make, images: int) -> dict[str, Any]:
    """Agreement of the maps of the first `images` images.

    One scale without flip: the same computation, so the largest absolute difference is told. All scales and flips:
    pytorch-grad-cam stretches the map of each scale and flip to [0, 1] before they are averaged, wsl adds first and
    stretches once, so only their correlation is told.
    """
    single = replace(job.options, scales=(1.0,), flip=False, long_side=None)
    difference, correlations = 0.0, []
    for sample in job.samples[:images]:
        difference = max(difference, float(np.abs(ours(sample, single) - theirs(sample, single)).max()))
        both = zip(ours(sample, job.options), theirs(sample, job.options), strict=True)
        correlations += [correlate(first, second) for first, second in both]
    return {
        "maps": len(correlations),
        "single_scale_largest_difference": difference,
        "all_scales_correlation_median": round(float(np.median(correlations)), 4),
        "all_scales_correlation_min": round(min(correlations), 4),
    }


def correlate(first: Maps, second: Maps) -> float:
    """Pearson's correlation; two maps without contrast agree."""
    if first.std() == 0 or second.std() == 0:
        return float(first.std() == second.std())
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def main() -> int:
    """Runs the race and the comparison; exit code 1 when the maps do not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--compare", type=int, default=5, help="images whose maps are compared before the race")
    parser.add_argument("--long-side", type=int, default=320, help="pixels at scale 1; 0 = the image's own size")
    parser.add_argument("--method", choices=("cam", "grad_cam"), default="cam", help="wsl's way to the same map")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/bench_score_maps.json")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    result: dict[str, Any] = describe_setting(("grad-cam",))
    job = prepare(given.images, given.long_side or None, given.method)
    ours, theirs = make_ours(job), make_theirs(job)
    result |= {"settings": vars(given) | {"scales": SCALES, "flip": True, "images": len(job.samples)}}
    result["classes_per_image"] = round(sum(len(each.class_ids or ()) for each in job.samples) / len(job.samples), 2)
    result["agreement"] = compare(job, ours, theirs, given.compare)
    result |= race(job, ours, theirs, given.repeats)
    tell(result)
    if given.save:
        print("saved", save_result("bench_score_maps", result))
    agreement = result["agreement"]
    agree = agreement["single_scale_largest_difference"] < LARGEST_DIFFERENCE
    return 0 if agree and agreement["all_scales_correlation_median"] > SMALLEST_CORRELATION else 1


def tell(result: dict[str, Any]) -> None:
    """The outcome in a few lines."""
    settings, ratio, agreement = result["settings"], result["ratio"], result["agreement"]
    print(f"{result['date']}, {result['cpu']}, {settings['threads']} threads, load {result['load_at_start']}")
    print(", ".join(f"{name} {version}" for name, version in result["versions"].items()))
    print(f"{settings['images']} images, {result['classes_per_image']} classes per image, scales {SCALES} and flips")
    for name, rate in result["images_per_second"].items():
        print(f"  {name}: {rate['median']:.2f} images/s ({rate['min']:.2f} to {rate['max']:.2f})")
    print(f"  ratio: {ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f}), goal {GOAL}")
    print(f"  one scale, no flip: largest difference {agreement['single_scale_largest_difference']:.1e}")
    low, middle = agreement["all_scales_correlation_min"], agreement["all_scales_correlation_median"]
    print(f"  all scales and flips: correlation {middle} (median of {agreement['maps']} maps), {low} (least)")


if __name__ == "__main__":
    sys.exit(main())
