"""Classifier + images + classes -> raw map pyramids: all classes and methods from one forward pass per scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsl.cam.classes import compute_probabilities, predict_classes
from wsl.cam.flips import FusedMaps, fuse_flips
from wsl.cam.groups import Groups
from wsl.cam.inputs import input_size, stack_images
from wsl.cam.method import CamMethod
from wsl.cam.options import CamOptions
from wsl.cam.pyramid import UNKNOWN_AGREEMENT, MapPyramid
from wsl.cam.scale_run import ScaleRun
from wsl.cam.targets import TARGETS, Targets, mirror_target
from wsl.data.resizing import scale_image
from wsl.errors import ModelError
from wsl.models.classifier import Classifier
from wsl.types import Image

# a level of an image without classes
NO_MAPS = FusedMaps(np.zeros((0, 1, 1), np.float32), np.zeros(0, np.float32))

Level = list[FusedMaps]  # of one image: one per layer
Levels = dict[str, dict[int, Level]]  # of one scale: per method, per row that has classes
MakeInput = Callable[[float, Sequence[int]], Tensor]  # scale, rows -> (B, 3, H, W)


def compute_pyramids(
    classifier: Classifier,
    images: Sequence[Image],
    image_ids: Sequence[str],
    class_ids: Sequence[tuple[int, ...] | None],
    groups: Groups,
    options: CamOptions,
    device: torch.device | None = None,
) -> list[MapPyramid]:
    """Raw maps of images uint8 (H, W, 3) of one size by the method of `options`, for the classes of each image.

    `class_ids[b]` are the classes wanted for image b, None = those that the classifier predicts; classes without
    a group are left out. An image without classes gives a pyramid with K = 0. The classifier is left as it came.
    """
    methods = {options.method: options.build_method()}
    found = compute_many(classifier, images, image_ids, class_ids, groups, options, methods, device)
    return found[options.method]


def compute_many(
    classifier: Classifier,
    images: Sequence[Image],
    image_ids: Sequence[str],
    class_ids: Sequence[tuple[int, ...] | None],
    groups: Groups,
    options: CamOptions,
    methods: Mapping[str, CamMethod],
    device: torch.device | None = None,
) -> dict[str, list[MapPyramid]]:
    """Like `compute_pyramids`, for several methods from the same forward passes; `options.method` is not used."""
    if len({image.shape[:2] for image in images}) > 1:
        raise ModelError(f"Expected images of one size per call, but got {[image.shape[:2] for image in images]}.")
    device = device or next(classifier.parameters()).device
    target = TARGETS[options.target_name]
    make = {class_id: target(outputs) for class_id, outputs in groups.items()}

    def make_input(scale: float, rows: Sequence[int]) -> Tensor:
        size = input_size(images[0].shape[:2], options.long_side, scale, classifier.output_stride, options.preset)
        return stack_images([images[row] for row in rows], size, classifier.mean, classifier.std).to(device)

    def choose(logits: Tensor) -> tuple[list[tuple[int, ...]], NDArray[np.float32]]:
        if options.predict_side is not None:
            logits = _predict(classifier, images, options, device)
        probabilities = compute_probabilities(logits, groups, options.label_mode)
        return _choose(class_ids, probabilities, groups, options.class_threshold), probabilities

    with no_side_effects(classifier):
        runner = ScaleRunner(classifier, methods, options, make_input)
        first = runner.start(len(images))
        wanted, probabilities = choose(mean_over_flips(first.logits, options.flip))
        found = runner.finish_fused(first, [[make[class_id] for class_id in ids] for ids in wanted])
    return {
        name: [
            MapPyramid(
                image_ids[row], maps_of(levels), wanted[row], (images[row].shape[0], images[row].shape[1]),
                probabilities[row], tuple(groups), first.num_layers(methods[name]), _agreement_of(levels, options),
            )
            for row, levels in enumerate(rows)
        ]
        for name, rows in found.items()
    }  # fmt: skip


@dataclass
class ScaleRunner:
    """Runs the scales: the one nearest to 1 first, whose logits choose the classes where none are given."""

    classifier: Classifier
    methods: Mapping[str, CamMethod]
    options: CamOptions
    make_input: MakeInput

    @property
    def order(self) -> list[int]:
        """Indices of the scales in the order in which they run."""
        scales = self.options.scales
        return sorted(range(len(scales)), key=lambda index: abs(scales[index] - 1))

    def start(self, count: int) -> ScaleRun:
        """The first scale for all `count` images: its logits (B or with flips 2B, O) are there, its maps not yet."""
        return self._run(self.order[0], range(count))

    def finish(self, first: ScaleRun, targets: Targets) -> dict[str, list[tuple[NDArray[np.float32], ...]]]:
        """Per method and image the levels of a `MapPyramid`, for the targets of each image."""
        fused = self.finish_fused(first, targets)
        return {name: [maps_of(levels) for levels in rows] for name, rows in fused.items()}

    def finish_fused(self, first: ScaleRun, targets: Targets) -> dict[str, list[tuple[FusedMaps, ...]]]:
        """Like `finish`, with the agreement of image and mirror image beside each level's maps.

        Images without a target have nothing to map: the other scales are not run for them.
        """
        busy = [row for row, each in enumerate(targets) if each]
        levels: list[Levels] = [{name: {} for name in self.methods} for _ in self.options.scales]
        levels[self.order[0]] = self._level(first, range(len(targets)), targets)
        for index in self.order[1:] if busy else ():
            levels[index] = self._level(self._run(index, busy), busy, targets)
        return {name: [_levels_of(levels, name, row) for row in range(len(targets))] for name in self.methods}

    def _run(self, index: int, rows: Sequence[int]) -> ScaleRun:
        """One scale for some of the images; with flips (2B, 3, H, W): the images, then all of them mirrored."""
        batch = self.make_input(self.options.scales[index], rows)
        if self.options.flip:
            batch = torch.cat([batch, batch.flip(3)])
        return ScaleRun(self.classifier, batch, tuple(self.methods.values()), self.options)

    def _level(self, run: ScaleRun, rows: Sequence[int], targets: Targets) -> Levels:
        wanted = [targets[row] for row in rows]
        mirrored = [[mirror_target(target) for target in each] for each in wanted] if self.options.flip else []
        raw = run.maps([*wanted, *mirrored])
        return {
            name: {
                row: [
                    fuse_flips(maps[place], maps[len(rows) + place] if mirrored else None, self.options.preset)
                    for maps in raw[method]
                ]
                for place, row in enumerate(rows)
                if targets[row]
            }
            for name, method in self.methods.items()
        }


def maps_of(levels: Sequence[FusedMaps]) -> tuple[NDArray[np.float32], ...]:
    """The maps alone."""
    return tuple(level.maps for level in levels)


def _agreement_of(levels: Sequence[FusedMaps], options: CamOptions) -> NDArray[np.float32]:
    """float32 (L, K) of all levels; empty without flips."""
    return np.stack([level.agreement for level in levels]) if options.flip else UNKNOWN_AGREEMENT


def _levels_of(levels: Sequence[Levels], method: str, row: int) -> tuple[FusedMaps, ...]:
    """Layer by layer, each with all its scales."""
    per_scale = [each[method].get(row) for each in levels]
    first = next((each for each in per_scale if each is not None), None)
    if first is None:
        return tuple(NO_MAPS for _ in levels)
    return tuple(each[layer] for layer in range(len(first)) for each in per_scale if each is not None)


def _predict(classifier: Classifier, images: Sequence[Image], options: CamOptions, device: torch.device) -> Tensor:
    """Logits (B, O) of the images stretched to the square that the classifier was trained on."""
    side = options.predict_side or 0
    # resampled as in training, not as for the maps
    squares = [scale_image(image, (side, side)) for image in images]
    batch = stack_images(squares, (side, side), classifier.mean, classifier.std).to(device)
    batch = torch.cat([batch, batch.flip(3)]) if options.flip else batch
    with options.autocast(device):
        logits: Tensor = classifier(batch)
    return mean_over_flips(logits, options.flip)


def mean_over_flips(logits: Tensor, flip: bool) -> Tensor:
    """(2B, O) of images and their mirror images, or (B, O) -> float32 (B, O)."""
    return logits.float().reshape(2, -1, *logits.shape[1:]).mean(0) if flip else logits.float()


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
def no_side_effects(model: Classifier) -> Iterator[None]:
    """Evaluation mode and no gradients for the call only; each module gets its own mode back.

    A caller's inference mode is left too: it would keep gradient methods from building the graph of the head.
    """
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
