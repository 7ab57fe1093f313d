"""From a name to a classifier with weights."""

from __future__ import annotations

from pathlib import Path

import torch

from wsl.errors import ConfigError
from wsl.models.classifier import HEADS, MODELS, Classifier
from wsl.models.timm_net import PREFIX, build_timm, download_timm
from wsl.models.torchvision_net import download_published, find_normalisation, find_published
from wsl.models.weights import WEIGHT_SUFFIXES, LoadReport, load_weights, read_state_dict


def list_models() -> list[str]:
    """Names for `build_classifier`, sorted; every network of timm can be added as "timm/<name>"."""
    return MODELS.names()


def build_classifier(
    name: str,
    *,
    num_outputs: int | None = None,
    output_stride: int = 32,
    head: str = "pooled",
    weights: str | None = None,
    seed: int = 0,
) -> tuple[Classifier, LoadReport]:
    """A classifier in evaluation mode, and what its weights file did not cover.

    num_outputs: length of the logits; None keeps the published ImageNet head. head: "pooled" gives networks whose
    own head is not "average pooling, then linear" (VGG, ViT, MobileNetV3) such a head when `num_outputs` is given;
    "original" keeps the published one. weights: None (random), "imagenet", a published name ("IMAGENET1K_V1",
    "MobileNet_V2_Weights.IMAGENET1K_V1") or a file (.pth, .pt, .safetensors). seed: of what stays random; the
    caller's random state is left alone.
    Raises ConfigError for an unknown name, head or stride, ModelError for weights that cannot be had or do not fit.
    """
    if head not in HEADS:
        raise ConfigError(f"head: expected one of {HEADS}, but got '{head}'.")
    if num_outputs is not None and num_outputs < 1:
        raise ConfigError(f"num_outputs: expected at least 1, but got {num_outputs}.")
    builder = build_timm if name.startswith(PREFIX) else MODELS.get(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = builder(name, num_outputs=num_outputs, output_stride=output_stride, head=head)
    report = LoadReport() if weights is None else _load(classifier, weights)
    if weights is None or _is_file(weights):
        _set_normalisation(classifier, find_normalisation(name))
    return classifier.eval(), report


def _load(classifier: Classifier, weights: str) -> LoadReport:
    if _is_file(weights):
        return load_weights(classifier, read_state_dict(Path(weights)), source=weights)
    if classifier.name.startswith(PREFIX):
        if weights != "imagenet":
            raise ConfigError(f"weights: for {classifier.name} expected 'imagenet' or a file, but got '{weights}'.")
        return load_weights(classifier, download_timm(classifier.name), source=weights)
    entry = find_published(classifier.name, weights)
    report = load_weights(classifier, download_published(entry), source=str(entry))
    _set_normalisation(classifier, find_normalisation(classifier.name, entry))
    return report


def _is_file(weights: str) -> bool:
    return weights.endswith(WEIGHT_SUFFIXES) or Path(weights).is_file()


def _set_normalisation(
    classifier: Classifier, normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None
) -> None:
    if normalisation is not None:
        mean, std = normalisation
        classifier.mean, classifier.std = (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
