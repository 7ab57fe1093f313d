"""Score-CAM, its relatives and Ablation-CAM by loops over channels and pixels, in float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.oracles.cam_networks import FlatNet, seeded
from wsl.cam.method import build_method
from wsl.cam.targets import Logit, Target
from wsl.cam.trace import Trace
from wsl.models.classifier import Classifier

Array = NDArray[Any]
Score = Callable[[Array], float]


def flat_net(constant: bool = True) -> FlatNet:
    """Signed activations; scores close enough for every channel to count; the first channel may be constant."""
    model = seeded(FlatNet(channels=6))
    with torch.no_grad():
        model.net["head"].weight *= 0.02
        if constant:
            model.net["target"].weight[0] = 0
    return model


def activation_of(model: FlatNet, x: torch.Tensor) -> Array:
    """Of the target layer, float64 (C, h, w)."""
    with torch.no_grad():
        return model.net["target"](model.net["stem"](x))[0].double().numpy()


def run_method(
    name: str,
    model: Classifier,
    images: torch.Tensor,
    targets: Sequence[Sequence[Target]],
    layer: str | None = None,
    **options: Any,
) -> list[torch.Tensor]:
    """Raw maps of one method on one layer, without the engine around it."""
    method = build_method(name, **options)
    with torch.no_grad():
        trace = Trace(model, images, (layer,), method.needs)
    return method.compute_maps(trace, layer, targets)


def logits_of(*groups: tuple[int, ...]) -> list[Target]:
    """One logit target per group of outputs."""
    return [Logit(group) for group in groups]


def score_by(model: Classifier, target: Target) -> Score:
    """What the network, in float64, gives one image (3, H, W)."""
    double = copy.deepcopy(model).double()

    def score(image: Array) -> float:
        with torch.no_grad():
            return float(target(double(torch.from_numpy(image.copy())[None]))[0])

    return score


def enlarge(channel: Array, size: tuple[int, int], align_corners: bool) -> Array:
    """Bilinear, (h, w) -> (H, W)."""
    found = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            (top, bottom, down), (left, right, along) = (
                _neighbours(place, length, cells, align_corners)
                for place, length, cells in zip((y, x), size, channel.shape, strict=True)
            )
            above = channel[top, left] * (1 - along) + channel[top, right] * along
            below = channel[bottom, left] * (1 - along) + channel[bottom, right] * along
            found[y, x] = above * (1 - down) + below * down
    return found


def _neighbours(place: int, length: int, cells: int, align_corners: bool) -> tuple[int, int, float]:
    if align_corners:
        exact = place * (cells - 1) / (length - 1) if length > 1 else 0.0
    else:
        exact = max((place + 0.5) * cells / length - 0.5, 0.0)
    first = min(int(exact), cells - 1)
    return first, min(first + 1, cells - 1), exact - first


def stretch(mask: Array, epsilon: float = 0.0) -> Array:
    """To [0, 1]; a constant one to 0."""
    low, high = mask.min(), mask.max()
    return np.zeros_like(mask) if high == low else (mask - low) / (high - low + epsilon)


def softmax(values: Sequence[float]) -> list[float]:
    """Of a list."""
    powers = [math.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


def score_cam(
    image: Array,
    activation: Array,
    score: Score,
    *,
    align_corners: bool = False,
    epsilon: float = 0.0,
    changes: Sequence[Callable[[Array], Array]] = (np.array,),
) -> Array:
    """(3, H, W), (C, h, w) -> (h, w); the score of a channel is the mean over `changes` of its mask."""
    gains = []
    for channel in activation:
        mask = stretch(enlarge(channel, image.shape[1:], align_corners), epsilon)
        mask = np.zeros_like(mask) if channel.max() == channel.min() else mask
        kept = [score(image * change(mask)) - score(image * change(np.zeros_like(mask))) for change in changes]
        gains.append(sum(kept) / len(kept))
    return sum(weight * channel for weight, channel in zip(softmax(gains), activation, strict=True))


def score_cam_official(image: Array, activation: Array, probability: Score) -> Array:
    """(3, H, W), (C, h, w) -> (H, W)."""
    found = np.zeros(image.shape[1:])
    for channel in activation:
        if channel.max() == channel.min():
            continue
        large = enlarge(channel, image.shape[1:], False)
        found += probability(image * stretch(large)) * large
    return found


def ablation_cam(activation: Array, score: Score) -> Array:
    """(C, h, w) and the class score of an activation -> (h, w)."""
    whole = score(activation)
    found = np.zeros(activation.shape[1:])
    for index in range(len(activation)):
        without = activation.copy()
        without[index] = 0
        found += (whole - score(without)) / whole * activation[index]
    return found
