"""The rows of bench_cam_methods.py: what is asked of both sides, the goal, and how far their maps must agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.cam_sides import BATCH_SIZE, SIGNED, CaptumPeer, GradCamPeer, Maps, Ours, TorchcamPeer

ONE, FIVE, TWENTY = (281,), (1, 95, 281, 340, 954), tuple(range(7, 1000, 50))
LAST, TWO = ("layer4",), ("layer3", "layer4")
SCORE_OPTIONS = {"variant": "grad_cam", "batch_size": BATCH_SIZE}


@dataclass(frozen=True)
class Contest:
    """One peer in one row: its call, ours, the least ratio wanted, and the agreement that is asked.

    ours and theirs take the two sides of the bench. compare_with: our maps for the comparison, where they are not those
    that were timed. difference: largest absolute difference allowed, None where the definitions differ and only the
    correlation, at least `correlation`, is asked; `reason` says why.
    """

    peer: str
    ours: Callable[[Ours], Maps]
    theirs: Callable[[Any], Maps]
    goal: float | None
    difference: float | None = 1e-3
    correlation: float = 0.99
    reason: str = ""
    compare_with: Callable[[Ours], Maps] | None = None
    either_sign: bool = False


@dataclass(frozen=True)
class Row:
    """A line of the table. heavy: thousands of forward passes, so it runs on smaller images and less often."""

    name: str
    work: str
    contests: tuple[Contest, ...]
    heavy: bool = False
    note: str = ""


def _grad_cam(classes: tuple[int, ...], goals: tuple[float, float, float]) -> tuple[Contest, ...]:
    def ours(side: Ours) -> Maps:
        return side.maps(["grad_cam"], classes)

    def torchcams_preset(side: Ours) -> Maps:
        return side.maps(["grad_cam"], classes, preset="torchcam")

    def grad_cam(side: GradCamPeer) -> Maps:
        return side.maps(["GradCAM"], classes, LAST)

    def captum(side: CaptumPeer) -> Maps:
        return side.maps(classes)

    def torchcam(side: TorchcamPeer) -> Maps:
        return side.maps(classes)

    return (
        Contest("grad-cam", ours, grad_cam, goals[0]),
        Contest("captum", ours, captum, goals[1]),
        Contest("torchcam", torchcams_preset, torchcam, goals[2]),
    )


def _against_grad_cam(
    methods: list[str],
    theirs: list[str],
    classes: tuple[int, ...],
    layers: tuple[str, ...],
    goal: float | None,
    our_options: dict[str, Any] | None = None,
    **agreement: Any,
) -> Contest:
    # a layer that the method finds by itself is not named
    our_layers = layers if len(layers) > 1 else ()
    return Contest(
        "grad-cam",
        lambda side: side.maps(methods, classes, our_layers, options=our_options),
        lambda side: side.maps(theirs, classes, layers),
        goal,
        **agreement,
    )


PLUS_PLUS = {
    "difference": None, "correlation": 0.5,
    "reason": "the peer adds 1e-6 to a denominator of about that size, see docs/peers.md",
}  # fmt: skip
BOTH = {"difference": None, "correlation": 0.5, "reason": "Grad-CAM++ as above; LayerCAM alone agrees"}

ROWS = (
    Row("grad_cam_1", "Grad-CAM, one class, layer4", _grad_cam(ONE, (2.8, 2.8, 1.25))),
    Row("grad_cam_20", "Grad-CAM, 20 classes of one image", _grad_cam(TWENTY, (50.0, 50.0, 2.8))),
    Row(
        "two_methods_5", "Grad-CAM++ and LayerCAM, layer3 + layer4, 5 classes",
        (
            _against_grad_cam(
                ["grad_cam_plus_plus", "layer_cam"], ["GradCAMPlusPlus", "LayerCAM"], FIVE, TWO, 8.0, **BOTH
            ),
        ),
        note="ours: both methods from one forward pass",
    ),
    Row(
        "plus_plus_5", "Grad-CAM++ alone, layer3 + layer4, 5 classes",
        (_against_grad_cam(["grad_cam_plus_plus"], ["GradCAMPlusPlus"], FIVE, TWO, 8.0, **PLUS_PLUS),),
    ),
    Row(
        "layer_cam_5", "LayerCAM alone, layer3 + layer4, 5 classes",
        (_against_grad_cam(["layer_cam"], ["LayerCAM"], FIVE, TWO, 8.0),),
    ),
    Row(
        "ablation_1", "Ablation-CAM, layer4, whole call",
        (_against_grad_cam(["ablation_cam"], ["AblationCAM"], ONE, LAST, 200.0, difference=0.02),), heavy=True,
    ),
    Row(
        "score_5", "Score-CAM, 5 classes of one image",
        (_against_grad_cam(["score_cam"], ["ScoreCAM"], FIVE, LAST, 4.0, SCORE_OPTIONS),), heavy=True,
        note=f"all 2048 channels, forward passes of {BATCH_SIZE} on both sides",
    ),
    Row(
        "eigen_1", "EigenCAM, whole call, layer4",
        (
            _against_grad_cam(
                ["eigen_cam"], ["EigenCAM"], ONE, LAST, 2.4, difference=None, correlation=0.95, either_sign=True,
                reason="the peer's sign is arbitrary; compared after clipping at the input's size",
                compare_with=lambda side: side.maps(["eigen_cam"], ONE, preset=SIGNED),
            ),
        ),
    ),
    Row(
        "full_grad_1", "FullGrad, whole call",
        (
            _against_grad_cam(
                ["full_grad"], ["FullGrad"], ONE, LAST, 9.0, difference=None, correlation=0.2,
                reason="the peer stretches each channel by itself, see docs/peers.md",
            ),
        ),
    ),
)  # fmt: skip


def agree(contest: Contest, ours: Maps, theirs: Maps) -> dict[str, Any]:
    """Largest absolute difference and least correlation over maps, whether that is enough, and why not equal."""
    pairs = list(zip(ours, theirs, strict=True))
    if contest.either_sign:
        pairs = [(_likelier_sign(our, their), their) for our, their in pairs]
    difference = max(float(np.abs(our - their).max()) for our, their in pairs)
    correlation = min(correlate(our, their) for our, their in pairs)
    enough = correlation >= contest.correlation if contest.difference is None else difference <= contest.difference
    found = {"correlation": round(correlation, 4), "agree": enough, "maps": len(pairs)}
    if not contest.either_sign:
        found["largest_difference"] = difference
    return found | ({"reason": contest.reason} if contest.reason else {})


def _likelier_sign(our: Maps, their: Maps) -> Maps:
    return max(np.maximum(our, 0), np.maximum(-our, 0), key=lambda each: correlate(each, their))


def correlate(first: Maps, second: Maps) -> float:
    """Pearson's correlation; two maps without contrast agree."""
    if first.std() == 0 or second.std() == 0:
        return float(first.std() == second.std())
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
