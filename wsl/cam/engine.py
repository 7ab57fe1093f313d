"""One stateless call: classifier + images + classes -> raw map pyramids, all classes from one forward per scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsl.cam import cam as _cam  # noqa: F401  (registers the method)
from wsl.cam import grad_cam as _grad_cam  # noqa: F401
from wsl.cam.classes import compute_probabilities, predict_classes
from wsl.cam.groups import Groups
from wsl.cam.inputs import input_size, stack_images
from wsl.cam.method import METHODS, RawMaps
from wsl.cam.preset import PRESETS, Preset
from wsl.cam.pyramid import MapPyramid
from wsl.data.resizing import scale_image
from wsl.errors import ConfigError, ModelError
from wsl.models.classifier import Classifier
from wsl.types import Image

NO_MAPS = np.zeros((0, 1, 1), np.float32)  # a level of an image without classes
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class CamOptions:
    """How maps are made.

    long_side: images are resized to this longer side first, None = own size. scales: factors on top of it.
    class_threshold: probability from which a predicted class counts, used where no labels are given.
    label_mode: "single" (softmax) or "multi" (sigmoid), how the classifier's outputs become probabilities.
    predict_side: image-level probabilities come from the image stretched to this square, the view that the
    classifier was trained on; None = from the scale nearest to 1.
    """

    method: str = "cam"
    layer: str | None = None
    scales: tuple[float, ...] = (1.0, 0.5, 1.5, 2.0)
    flip: bool = True
    long_side: int | None = None
    preset: Preset = PRESETS["irn"]
    class_threshold: float = 0.5
    label_mode: str = "multi"
    precision: str = "float32"
    predict_side: int | None = None

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale <= 16 for scale in self.scales):
            raise ConfigError(f"cam.scales: expected at least one factor above 0 (to 16), but got {self.scales}.")
        if self.long_side is not None and self.long_side < 1:
            raise ConfigError(f"cam.long_side: expected a number of pixels or null, but got {self.long_side}.")
        if not 0 <= self.class_threshold <= 1:
            raise ConfigError(f"cam.class_threshold: expected a probability in [0, 1], but got {self.class_threshold}.")


def compute_pyramids(
    classifier: Classifier,
    images: Sequence[Image],
    image_ids: Sequence[str],
    class_ids: Sequence[tuple[int, ...] | None],
    groups: Groups,
    options: CamOptions,
    device: torch.device | None = None,
) -> list[MapPyramid]:
    """Raw maps of images of one size (H, W), for the classes of each image.

    `class_ids[b]` are the classes wanted for image b, None = those that the classifier predicts; classes without
    a group are left out. An image without classes gives a pyramid with K = 0. The classifier is left as it came.
    """
    if len({image.shape[:2] for image in images}) > 1:
        raise ModelError(f"Expected images of one size per call, but got {[image.shape[:2] for image in images]}.")
    device = device or next(classifier.parameters()).device
    # A caller's inference mode would keep Grad-CAM from building the graph of the head.
    with torch.inference_mode(False), torch.no_grad(), _evaluation_mode(classifier):
        levels, wanted, probabilities = _all_scales(classifier, images, class_ids, groups, options, device)
    return [
        MapPyramid(
            image_ids[row],
            tuple(maps.get(row, NO_MAPS) for maps in levels),
            wanted[row],
            (images[row].shape[0], images[row].shape[1]),
            probabilities[row],
            tuple(groups),
        )
        for row in range(len(images))
    ]


def _all_scales(
    classifier: Classifier,
    images: Sequence[Image],
    class_ids: Sequence[tuple[int, ...] | None],
    groups: Groups,
    options: CamOptions,
    device: torch.device,
) -> tuple[list[dict[int, NDArray[np.float32]]], list[tuple[int, ...]], NDArray[np.float32]]:
    """Per scale the maps of each image that has classes, by its row; the classes; probabilities float32 (B, G)."""
    # The scale nearest to 1 runs first: its logits choose the classes where none are given.
    first, *others = sorted(range(len(options.scales)), key=lambda index: abs(options.scales[index] - 1))
    raw = _run_scale(classifier, images, options, options.scales[first], device)
    logits = raw.logits if options.predict_side is None else _predict(classifier, images, options, device)
    probabilities = compute_probabilities(_mean_over_flips(logits, options), groups, options.label_mode)
    wanted = _choose(class_ids, probabilities, groups, options.class_threshold)
    maps = _level_maps(raw, wanted, groups, options)
    # Images without a class have nothing to map: the other scales are not run for them.
    busy = [row for row, ids in enumerate(wanted) if ids]
    levels: list[dict[int, NDArray[np.float32]]] = [{} for _ in options.scales]
    levels[first] = {row: maps[row] for row in busy}
    for index in others if busy else ():
        raw = _run_scale(classifier, [images[row] for row in busy], options, options.scales[index], device)
        maps = _level_maps(raw, [wanted[row] for row in busy], groups, options)
        levels[index] = dict(zip(busy, maps, strict=True))
    return levels, wanted, probabilities


def _run_scale(
    classifier: Classifier, images: Sequence[Image], options: CamOptions, scale: float, device: torch.device
) -> RawMaps:
    size = input_size(images[0].shape[:2], options.long_side, scale, classifier.output_stride, options.preset)
    batch = _network_input(classifier, images, size, options, device)
    with _precision(options, device):
        return METHODS.get(options.method)(classifier, batch, options.layer)


def _predict(classifier: Classifier, images: Sequence[Image], options: CamOptions, device: torch.device) -> Tensor:
    """Logits (B or 2B, O) of the images stretched to the square that the classifier was trained on."""
    side = options.predict_side or 0
    # resampled as in training, not as for the maps
    images = [scale_image(image, (side, side)) for image in images]
    with _precision(options, device):
        logits: Tensor = classifier(_network_input(classifier, images, (side, side), options, device))
    return logits


def _network_input(
    classifier: Classifier, images: Sequence[Image], size: tuple[int, int], options: CamOptions, device: torch.device
) -> Tensor:
    """float32 (B, 3, *size), with flips (2B, 3, *size): the images, then all of them mirrored."""
    batch = stack_images(images, size, classifier.mean, classifier.std).to(device)
    if options.flip:
        batch = torch.cat([batch, batch.flip(3)])
    return batch.contiguous(memory_format=torch.channels_last) if device.type == "cpu" else batch


def _precision(options: CamOptions, device: torch.device) -> AbstractContextManager[Any]:
    dtype = PRECISIONS[options.precision]
    return torch.autocast(device.type, dtype) if dtype else nullcontext()


def _level_maps(
    raw: RawMaps, wanted: Sequence[tuple[int, ...]], groups: Groups, options: CamOptions
) -> list[NDArray[np.float32]]:
    """One scale's maps per image, float32 (K, h, w), flips fused."""
    targets = [[groups[class_id] for class_id in ids] for ids in wanted]
    maps = [_clip(each, options.preset) for each in raw.maps(targets * (2 if options.flip else 1))]
    if options.flip:
        half = len(wanted)
        combine = torch.add if options.preset.flip_fusion == "sum" else torch.maximum
        maps = [combine(maps[row], maps[half + row].flip(-1)) for row in range(half)]
    return [each.float().cpu().numpy() for each in maps]


def _clip(maps: Tensor, preset: Preset) -> Tensor:
    return maps.clamp(min=0) if preset.relu == "each" else maps


def _mean_over_flips(logits: Tensor, options: CamOptions) -> Tensor:
    return logits.float().reshape(2, -1, logits.shape[1]).mean(0) if options.flip else logits.float()


def _choose(
    class_ids: Sequence[tuple[int, ...] | None], probabilities: NDArray[np.float32], groups: Groups, threshold: float
) -> list[tuple[int, ...]]:
    return [
        predict_classes(probabilities[row], groups, threshold)
        if given is None
        else tuple(sorted(class_id for class_id in given if class_id in groups))
        for row, given in enumerate(class_ids)
    ]


@contextmanager
def _evaluation_mode(model: Classifier) -> Iterator[None]:
    """Evaluation mode for the call only; each module gets its own mode back."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
