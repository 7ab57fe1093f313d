"""A classifier whose outputs have names: a published network, somebody's weights, or a checkpoint of ours."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wsl.cam.inputs import input_size, stack_images
from wsl.cam.preset import Preset
from wsl.data.resizing import scale_image
from wsl.errors import ConfigError, ModelError
from wsl.models import LoadReport, build_classifier
from wsl.models.checkpoint import load_checkpoint
from wsl.models.classifier import Classifier
from wsl.models.output_names import name_outputs
from wsl.models.torchvision_net import PUBLISHED_OUTPUTS
from wsl.types import Image

log = logging.getLogger("wsl")

DEFAULT_MODEL = "resnet50"
DEFAULT_SIDE = 256  # torchvision's evaluation: shorter side 256; its central crop is left out, to see the whole image
LEAST_SIDE, LARGEST_SIDE = 32, 4096
MAX_ASPECT = 4  # longer side / shorter side of a network input; longer images are squeezed
STRIDES = (32, 16, 14, 8)  # the coarsest that a network has, which is its published form


@dataclass(frozen=True)
class Prediction:
    """One output for one image: its index, its name, its logit, and its probability in [0, 1]."""

    output: int
    name: str
    logit: float
    probability: float


@dataclass(frozen=True)
class NamedClassifier:
    """`model` in evaluation mode; `names[i]` is what output i means.

    label_mode: "single" (softmax) or "multi" (sigmoid). side: shorter side of the network's input in pixels, both sides
    where images are stretched to a square, as in training. background: the output for "no object", if there is one.
    """

    model: Classifier
    names: tuple[str, ...]
    label_mode: str = "single"
    side: int = DEFAULT_SIDE
    stretch: bool = False
    background: int | None = None

    def make_input(self, image: Image, preset: Preset) -> Tensor:
        """uint8 (H, W, 3) -> normalised (1, 3, h, w) on the model's device; the aspect ratio is kept up to 4 : 1."""
        size = self._input_size((image.shape[0], image.shape[1]), preset)
        batch = stack_images([scale_image(image, size)], size, self.model.mean, self.model.std)
        return batch.to(next(self.model.parameters()).device)

    def _input_size(self, size: tuple[int, int], preset: Preset) -> tuple[int, int]:
        if self.stretch:
            return input_size((self.side, self.side), None, 1.0, self.model.output_stride, preset)
        shorter = min(size)
        sides = min(size[0], MAX_ASPECT * shorter), min(size[1], MAX_ASPECT * shorter)
        return input_size(sides, None, self.side / shorter, self.model.output_stride, preset)

    def predict(self, logits: Tensor) -> tuple[Prediction, ...]:
        """All outputs of one image, logits (O,), the most probable first; ModelError when they are not finite."""
        logits = logits.float().cpu()
        if not bool(torch.isfinite(logits).all()):
            raise ModelError(f"{self.model.name}: the class scores are NaN or inf; check the weights.")
        shares = logits.softmax(0) if self.label_mode == "single" else logits.sigmoid()
        order = torch.argsort(logits, descending=True, stable=True).tolist()
        return tuple(Prediction(i, self.names[i], float(logits[i]), float(shares[i])) for i in order)


def load_named_classifier(
    *,
    model: str | None = None,
    weights: str | None = None,
    checkpoint: Path | None = None,
    head: str | None = None,
    outputs: int | None = None,
    side: int | None = None,
    device: torch.device | None = None,
) -> NamedClassifier:
    """A checkpoint of ours, or the network `model` (resnet50 by default) with `weights`.

    weights: "imagenet" (the default), another published name, a file, or "none". head: "pooled" gives VGG, ViT and
    MobileNetV3 a linear layer on pooled features. outputs: length of the logits, 1000 by default. side: see
    `NamedClassifier`; None = the checkpoint's training size, otherwise 256.
    Raises ConfigError or ModelError for what does not go together or cannot be loaded.
    """
    if side is not None and not LEAST_SIDE <= side <= LARGEST_SIDE:
        raise ConfigError(f"side: expected {LEAST_SIDE} to {LARGEST_SIDE} pixels, but got {side}.")
    if checkpoint is None:
        named = _published(model or DEFAULT_MODEL, weights or "imagenet", head or "original", outputs, side)
    elif any(each is not None for each in (model, weights, head, outputs)):
        raise ConfigError(f"{checkpoint}: a checkpoint knows its network; leave out model, weights, head and outputs.")
    else:
        named = _from_checkpoint(checkpoint, side)
    if device is not None:
        named.model.to(device)
    return named


def _from_checkpoint(path: Path, side: int | None) -> NamedClassifier:
    model, meta = load_checkpoint(path)
    names = (*meta.class_names, meta.background_name) if meta.background_output else tuple(meta.class_names)
    background = len(meta.class_names) if meta.background_output else None
    return NamedClassifier(
        model, names, meta.label_mode, side or meta.image_size, meta.resize == "stretch", background
    )  # fmt: skip


def _published(name: str, weights: str, head: str, outputs: int | None, side: int | None) -> NamedClassifier:
    wanted = PUBLISHED_OUTPUTS if head == "pooled" and outputs is None else outputs
    model, report = _build_at_any_stride(name, None if weights == "none" else weights, head, wanted)
    if weights == "none":
        log.warning("%s has random weights: its predictions mean nothing.", name)
    _check_head(model, report, weights)
    return NamedClassifier(model, name_outputs(model.num_outputs), side=side or DEFAULT_SIDE)


def _build_at_any_stride(
    name: str, weights: str | None, head: str, outputs: int | None
) -> tuple[Classifier, LoadReport]:
    """The network as it was published: a ViT works at its patch only, most others at 32."""
    refusals = []
    for stride in STRIDES:
        try:
            return build_classifier(name, num_outputs=outputs, output_stride=stride, head=head, weights=weights)
        except ConfigError as error:
            if "output_stride" not in str(error):
                raise
            refusals.append(error)
    raise refusals[0]


def _check_head(model: Classifier, report: LoadReport, weights: str) -> None:
    if report.mismatched:
        raise ConfigError(
            f"{weights}: the class layer ({report.mismatched[0]}) has another size than {model.num_outputs} outputs; "
            "give outputs=N, their number in the file."
        )
    fresh: Sequence[str] = [each for each in report.missing if each.startswith(model.head_prefixes)]
    if fresh:
        log.warning("%s has no %s: this class layer is random and its predictions mean nothing.", weights, fresh[0])
