"""Score maps of a folder of images, four scales and flips: wsl against the script of the IRN kind.

That script takes one image at a time: per scale a forward pass of the image and its mirror image, all classes clipped,
turned back and added; all of them resized to the image; only then are the image's own classes chosen and normalised.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from benchmarks.cam_sides import Maps
from wsl.cam.engine import compute_pyramids
from wsl.cam.options import CamOptions
from wsl.cam.preset import get_preset
from wsl.cam.pyramid import fuse
from wsl.data.images import read_image
from wsl.models import Classifier, build_classifier
from wsl.pipeline.making_maps import prepare_model

FOLDER_ROWS = {"folder": "float32", "folder_bfloat16": "bfloat16"}  # row: our precision; the peer keeps float32
SCALES = (1.0, 0.5, 1.5, 2.0)
CLASSES = 80
SIZE = (375, 500)
QUICK_SIZE = (75, 100)
LARGEST_DIFFERENCE = 1e-3
SMALLEST_CORRELATION = 0.99

Race = Callable[..., tuple[dict[str, Any], dict[str, Any]]]


def run_folder(
    count: int, repeats: int, quick: bool, device: torch.device, race: Race, precision: str
) -> dict[str, Any]:
    """Ratio of the time for all images, images per second, and the agreement of the maps."""
    classifier, _ = build_classifier("resnet50", num_outputs=CLASSES, output_stride=16, seed=0)
    classifier, size = calibrate(classifier), QUICK_SIZE if quick else SIZE
    wanted = [(1 + 7 * row % CLASSES, 2 + 7 * row % CLASSES) for row in range(count)]
    options = replace(OPTIONS, precision=precision)
    ours, theirs = prepare_ours(classifier, device), copy.deepcopy(classifier).to(device)
    with tempfile.TemporaryDirectory() as folder:
        paths = draw_photos(Path(folder), count, size)
        found, maps = race(
            lambda: run_ours(ours, paths, wanted, device, options), lambda: run_theirs(theirs, paths, wanted, device),
            max(1, repeats // 3), device,
        )  # fmt: skip
    rates = {name: round(count / each["median"], 3) for name, each in found["seconds"].items()}
    settings = {"images": count, "size": size, "classes": CLASSES, "scales": SCALES}
    found["agreement"] = compare(np.concatenate(maps["ours"]), np.concatenate(maps["peer"]), precision)
    return found | {"goal": 4.0, "images_per_second": rates, "settings": settings}


def compare(ours: Maps, theirs: Maps, precision: str) -> dict[str, Any]:
    """Both sides' maps (n, H, W): equal in float32, nearly so in bfloat16."""
    difference = float(np.abs(ours - theirs).max())
    correlation = round(float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]), 4)
    agreed = difference <= LARGEST_DIFFERENCE if precision == "float32" else correlation >= SMALLEST_CORRELATION
    return {"largest_difference": difference, "correlation": correlation, "agree": agreed, "maps": len(ours)}


def calibrate(classifier: Classifier) -> Classifier:
    """Batch statistics of noise, so that activations stay in range."""
    for module in classifier.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        classifier.train()(torch.randn(8, 3, 96, 96, generator=torch.Generator().manual_seed(0)))
    return classifier.eval()


def draw_photos(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """JPEG files of soft noise."""
    paths = []
    for number in range(count):
        cells = np.random.default_rng(number).integers(0, 255, (12, 16, 3), np.uint8)
        path = folder / f"{number:03}.jpg"
        Image.fromarray(cells).resize((size[1], size[0]), Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    return paths


def prepare_ours(classifier: Classifier, device: torch.device) -> Classifier:
    """As the cams stage does it."""
    return prepare_model(copy.deepcopy(classifier), OPTIONS, device)


OPTIONS = CamOptions(method="cam", scales=SCALES, flip=True, preset=get_preset("irn"))


def run_ours(
    model: Classifier, paths: Sequence[Path], wanted: Sequence[tuple[int, ...]], device: torch.device,
    options: CamOptions,
) -> list[Maps]:  # fmt: skip
    """As the cams stage: one image at a time on a CPU, batches on a GPU; the classes of each image alone."""
    groups = {each: (each - 1,) for each in range(1, CLASSES + 1)}
    found: list[Maps] = []
    step = 1 if device.type == "cpu" else 16
    for start in range(0, len(paths), step):
        chunk = slice(start, start + step)
        images = [read_image(path) for path in paths[chunk]]
        names = [path.stem for path in paths[chunk]]
        pyramids = compute_pyramids(model, images, names, wanted[chunk], groups, options, device)
        found += [fuse(each, options.preset).scores for each in pyramids]
    return found


@torch.no_grad()
def run_theirs(
    model: Classifier, paths: Sequence[Path], wanted: Sequence[tuple[int, ...]], device: torch.device
) -> list[Maps]:
    """One image at a time, every class to the size of the image."""
    linear = model.linear_head()
    weight = (linear.weight if linear is not None else torch.zeros(0))[:, :, None, None]
    found = []
    for path, classes in zip(paths, wanted, strict=True):
        picture = Image.open(path).convert("RGB")
        width, height = picture.size
        rounded = (16 * ((height - 1) // 16 + 1), 16 * ((width - 1) // 16 + 1))
        total = torch.zeros(CLASSES, *rounded, device=device)
        for scale in SCALES:
            maps = functional.conv2d(model.features(_input(picture, scale, model).to(device)), weight).relu()
            both = maps[0] + maps[1].flip(-1)
            total += functional.interpolate(both[None], rounded, mode="bilinear", align_corners=False)[0]
        chosen = total[[each - 1 for each in classes], :height, :width]
        found.append((chosen / (chosen.amax((1, 2), keepdim=True) + 1e-5)).cpu().numpy())
    return found


def _input(picture: Image.Image, scale: float, model: Classifier) -> Tensor:
    """(2, 3, h, w): the image at this scale and its mirror image."""
    size = (round(picture.width * scale), round(picture.height * scale))
    scaled = picture if scale == 1 else picture.resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(scaled, np.float32) / 255
    normalised = (pixels - np.array(model.mean, np.float32)) / np.array(model.std, np.float32)
    image = torch.from_numpy(normalised.astype(np.float32)).permute(2, 0, 1)[None]
    return torch.cat([image, image.flip(3)]).contiguous()
