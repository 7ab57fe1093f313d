"""The train stage: the configured classifier, its starting weights, training from image-level labels."""

from __future__ import annotations

import logging
from dataclasses import asdict

import numpy as np
import torch

from wsl.config import Config
from wsl.data.images import read_image
from wsl.data.reader import Dataset
from wsl.errors import ConfigError, DataError, suggest
from wsl.models.classifier import Classifier
from wsl.pipeline.classifiers import build_with_weights
from wsl.pipeline.context import Context
from wsl.pipeline.device import select_device
from wsl.train.augment import centre_image
from wsl.train.loop import TrainResult, normalise_images, train_classifier
from wsl.train.settings import TrainSettings
from wsl.train.unfold import is_folded, unfold_batch_norm

log = logging.getLogger("wsl")

MEASURED_IMAGES = 64


def train_run(context: Context) -> TrainResult:
    """Trains in the run folder's train/; goes on where an interrupted training stopped."""
    data = context.train_data
    label_mode = context.config.train.label_mode
    if label_mode == "auto":
        label_mode = "single" if data.single_label else "multi"
    settings = train_settings(context.config, label_mode)
    _refuse_one_label(data)
    # With one label per image, images without an object need an output of their own.
    background_output = settings.label_mode == "single" and any(sample.class_ids == () for sample in data.samples)
    device = select_device(context.config.device)
    model = build_with_weights(context.config.model, len(data.classes) + int(background_output), settings.seed)
    freeze_parameters(model, context.config.train.freeze)
    if is_folded(model) and not settings.freeze_batch_norm:
        _unfold(model, data, settings)
    return train_classifier(
        model,
        list(data.samples),
        list(context.validation_samples),
        settings,
        classes=data.classes,
        background_output=background_output,
        folder=context.run.path / "train",
        device=device,
        progress=context.progress,
    )


def train_settings(config: Config, label_mode: str) -> TrainSettings:
    """The settings of training; ConfigError naming the key for values that make no sense."""
    values = asdict(config.train) | {"label_mode": label_mode, "augment": tuple(config.train.augment)}
    del values["freeze"]  # done here, before training begins
    return TrainSettings(**values, workers=config.workers, seed=config.seed)


def _refuse_one_label(data: Dataset) -> None:
    """A classifier that has seen one answer only would be right by knowing nothing, and its maps would mean nothing."""
    labels = {sample.class_ids for sample in data.samples if sample.class_ids is not None}
    if len(labels) < 2:
        found = f"the same for all {len(data.samples)} training images" if labels else "none"
        raise DataError(
            f"{data.root}: expected training images with different labels, but they are {found}: "
            "add images of another class, or without any object."
        )


def freeze_parameters(model: Classifier, prefixes: list[str]) -> None:
    """Takes the parameters whose names begin with one of `prefixes` (layer1, conv1, ...) out of the training."""
    named = list(model.net.named_parameters())
    for prefix in prefixes:
        frozen = [parameter for name, parameter in named if name == prefix or name.startswith(f"{prefix}.")]
        if not frozen:
            parts = {name.split(".")[0] for name, _ in named}
            raise ConfigError(f"train.freeze: {model.name} has no part '{prefix}'.{suggest(prefix, parts)}")
        for parameter in frozen:
            parameter.requires_grad_(False)


def _unfold(model: Classifier, data: Dataset, settings: TrainSettings) -> None:
    """Measures batch statistics on images spread over the training set; the function of the network stays."""
    step = max(1, len(data.samples) // MEASURED_IMAGES)
    images = []
    for sample in data.samples[::step]:
        try:
            image = read_image(sample.image_path)
        except DataError:
            continue  # training itself records unreadable images
        images.append(centre_image(image, image_size=settings.image_size, resize=settings.resize))
    if images:
        unfold_batch_norm(model, normalise_images(np.stack(images), model, torch.device("cpu")))
        log.info("train: the weights have no batch-norm statistics; measured on %d training images", len(images))
