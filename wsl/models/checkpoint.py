"""A trained classifier in one safetensors file that says how to build it: nothing else is needed to use it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from wsl.errors import ModelError
from wsl.files import write_bytes
from wsl.models.build import build_classifier
from wsl.models.classifier import Classifier

METADATA_KEY = "wsl"  # one key only: the order of several is not kept in the file


@dataclass(frozen=True)
class CheckpointMeta:
    """How to build the network, what its outputs mean, how it was trained.

    class_names: foreground classes in order; output i is class_id i + 1. background_output: one more output, at
    index N, for images without any class (single-label training). image_size: side of the training images in
    pixels. metrics: of the validation, None where undefined. resize: how training images became squares, "stretch" or
    "crop".
    """

    model: str
    output_stride: int
    head: str
    class_names: tuple[str, ...]
    background_name: str
    background_output: bool
    label_mode: str
    image_size: int
    wsl_version: str
    metrics: dict[str, float | None]
    resize: str = "stretch"

    @property
    def num_outputs(self) -> int:
        """Length of the logits."""
        return len(self.class_names) + int(self.background_output)


def save_checkpoint(path: Path, classifier: Classifier, meta: CheckpointMeta) -> None:
    """Writes network and meta atomically; equal inputs give equal bytes.

    Raises ModelError when the number of outputs does not go with the classes.
    """
    if classifier.num_outputs != meta.num_outputs:
        raise ModelError(
            f"{path}: expected {meta.num_outputs} outputs for {len(meta.class_names)} classes, "
            f"but the classifier has {classifier.num_outputs}."
        )
    tensors = {name: value.detach().cpu().contiguous() for name, value in classifier.net.state_dict().items()}
    about = asdict(meta) | {"mean": classifier.mean, "std": classifier.std, "metrics": _without_nan(meta.metrics)}
    write_bytes(path, save(tensors, metadata={METADATA_KEY: json.dumps(about, sort_keys=True, allow_nan=False)}))


def load_checkpoint(path: Path) -> tuple[Classifier, CheckpointMeta]:
    """Network (evaluation mode, CPU) and meta from a file of `save_checkpoint`.

    Raises ModelError naming the file when it is missing, broken, or not one of ours.
    """
    about, tensors = _read(path)
    try:
        mean, std = tuple(about.pop("mean")), tuple(about.pop("std"))
        meta = CheckpointMeta(**(about | {"class_names": tuple(about["class_names"])}))
        classifier, _ = build_classifier(
            meta.model, num_outputs=meta.num_outputs, output_stride=meta.output_stride, head=meta.head
        )
        classifier.net.load_state_dict(tensors)
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".:")
        raise ModelError(f"{path}: the checkpoint does not fit this version of wsl ({reason}); train again.") from None
    classifier.mean, classifier.std = mean, std
    return classifier, meta


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint.")
    try:
        with safe_open(path, framework="pt") as content:
            about = json.loads((content.metadata() or {}).get(METADATA_KEY, "null"))
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: expected a checkpoint written by 'wsl train', but {error}.") from None
    if not isinstance(about, dict):
        raise ModelError(
            f"{path}: expected a checkpoint written by 'wsl train', but it only holds weights; "
            "give such a file as model.weights instead."
        )
    return about, tensors


def _without_nan(metrics: dict[str, float | None]) -> dict[str, float | None]:
    return {name: value if value is not None and math.isfinite(value) else None for name, value in metrics.items()}
