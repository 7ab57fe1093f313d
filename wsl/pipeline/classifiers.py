"""Which classifier a run uses: the one it trained, a given checkpoint, or ImageNet outputs in class groups."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wsl.cam.groups import Groups, identity_groups, parse_groups
from wsl.config import ModelConfig
from wsl.errors import ConfigError, suggest
from wsl.models import LoadReport, build_classifier
from wsl.models.checkpoint import CheckpointMeta, load_checkpoint
from wsl.models.classifier import Classifier
from wsl.types import ClassSet

log = logging.getLogger("wsl")


@dataclass(frozen=True)
class ReadyClassifier:
    """A classifier, which of its outputs stand for which class, and how outputs become probabilities.

    `predict_side`: side of the square that it was trained on, None where it saw other views (crops, ImageNet).
    """

    model: Classifier
    groups: Groups
    label_mode: str
    predict_side: int | None = None


def needs_training(model: ModelConfig) -> bool:
    """Whether a run trains: not when a checkpoint is given, nor when class groups use the published outputs."""
    return model.checkpoint is None and model.groups is None


def load_ready_classifier(model: ModelConfig, classes: ClassSet, trained: Path) -> ReadyClassifier:
    """The classifier of a run for the data set's `classes`; `trained` is where the train stage leaves its best."""
    if model.groups is not None:
        return _grouped_classifier(model, classes)
    path = Path(model.checkpoint) if model.checkpoint is not None else trained
    if not path.is_file():
        hint = "model.checkpoint: no such file" if model.checkpoint else "no trained classifier yet (run `wsl train`)"
        raise ConfigError(f"{path}: {hint}.")
    classifier, meta = load_checkpoint(path)
    side = meta.image_size if meta.resize == "stretch" else None
    return ReadyClassifier(classifier, _groups_by_name(meta, classes, path), meta.label_mode, side)


def _groups_by_name(meta: CheckpointMeta, classes: ClassSet, path: Path) -> Groups:
    """Classes are matched by name, so a model trained on one folder can label another with fewer or other order."""
    known = ClassSet(tuple(meta.class_names), meta.background_name)
    for name in classes.names:
        if name not in known.names:
            raise ConfigError(
                f"{path}: this classifier does not know the class '{name}' of the data set."
                f"{suggest(name, known.names)} Set data.classes to classes it knows."
            )
    by_id = identity_groups(known)
    return {classes.id_of(name): by_id[known.id_of(name)] for name in classes.names}


def _grouped_classifier(model: ModelConfig, classes: ClassSet) -> ReadyClassifier:
    if not isinstance(model.groups, dict):
        raise ConfigError(f"model.groups: expected class name -> classifier outputs, but got {model.groups!r}.")
    classifier = build_with_weights(model, num_outputs=None)
    groups = parse_groups(model.groups, classes, classifier.num_outputs)
    without = [name for name in classes.names if classes.id_of(name) not in groups]
    if without:
        log.warning("No class group, hence no maps, for %d classes: %s", len(without), ", ".join(without))
    return ReadyClassifier(classifier, groups, "single")


def build_with_weights(model: ModelConfig, num_outputs: int | None, seed: int = 0) -> Classifier:
    """The named architecture with its starting weights, and a line about what was and was not loaded."""
    weights = choose_weights(model.weights)
    classifier, report = build_classifier(
        model.name,
        num_outputs=num_outputs,
        output_stride=model.output_stride,
        head=model.head,
        weights=weights,
        seed=seed,
    )
    log.info("%s, weights: %s%s", model.name, weights or "random", _explain(report))
    return classifier


def _explain(report: LoadReport) -> str:
    """What of the file did not fit, in words; nothing when all did."""
    parts = {"fresh, not in the file": report.missing, "fresh, another size in the file": report.mismatched}
    parts["in the file only"] = report.unexpected
    return "".join(f"; {what}: {_shorten(names)}" for what, names in parts.items() if names)


def _shorten(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def choose_weights(weights: Any) -> str | None:
    """`model.weights`: a file, a published name, None, or a list of those of which the first usable one counts."""
    if weights is None or isinstance(weights, str):
        return weights
    if not isinstance(weights, list) or not weights or not all(isinstance(each, str) for each in weights):
        raise ConfigError(f"model.weights: expected a file, a name, or a list of those, but got {weights!r}.")
    usable = [each for each in weights if Path(each).is_file() or not _looks_like_file(each)]
    if not usable:
        raise ConfigError(f"model.weights: none of these files exists: {', '.join(weights)}.")
    return str(usable[0])


def _looks_like_file(name: str) -> bool:
    return name.endswith((".pth", ".pt", ".safetensors"))


def identity_of(model: ModelConfig) -> dict[str, Any]:
    """The model's settings, files as hashes of their bytes: a moved file is the same, a replaced one is not."""
    weights = choose_weights(model.weights) if model.checkpoint is None else None
    files = {"weights": weights, "checkpoint": model.checkpoint}
    return asdict(model) | {name: _hash_file(value) for name, value in files.items()}


def _hash_file(name: str | None) -> str | None:
    if name is None or not Path(name).is_file():
        return name
    digest = hashlib.sha256()
    with Path(name).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return "sha256:" + digest.hexdigest()[:16]
