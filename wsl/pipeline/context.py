"""What every stage of a run shares: settings, run folder, data sets, progress."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from wsl.cam.sources.folder import MapFolder
from wsl.config import Config, DataConfig
from wsl.data.reader import Dataset, guess_format, open_dataset
from wsl.errors import ConfigError, DataError
from wsl.models.checkpoint import load_checkpoint
from wsl.pipeline.importing import open_source
from wsl.pipeline.run_folder import Failure, RunFolder
from wsl.progress import Progress, Silent
from wsl.types import ClassSet, Sample

log = logging.getLogger("wsl")


@dataclass
class Context:
    """One run. Data sets are opened when a stage first asks for them."""

    config: Config
    run: RunFolder
    progress: Progress = field(default_factory=Silent)
    overwrite: bool = False
    stage_settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def data(self) -> Dataset:
        """The images that are labelled and scored: `data.split`."""
        return self._open(self.config.data.split)

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """The samples of `data`, at most `data.limit` of them."""
        return self.data.samples[: self.config.data.limit]

    @property
    def classes(self) -> ClassSet:
        """The classes of the data set."""
        return self.data.classes

    @cached_property
    def map_folder(self) -> MapFolder:
        """The maps made elsewhere that `cam.source` names."""
        return open_source(self.config.cam, self.run.path, self.samples, self.classes)

    @cached_property
    def train_data(self) -> Dataset:
        """The images that the classifier learns from: `data.train_split`."""
        return self._open(self.config.data.train_split)

    @cached_property
    def validation_samples(self) -> tuple[Sample, ...]:
        """Images that choose the best epoch by their image-level labels; none when the split does not exist."""
        name = self.config.data.val_split
        if name in ("none", self.config.data.train_split) or self.config.data.train_split == "all":
            return ()
        declared = self.train_data.split_counts
        if declared and name not in declared:
            log.warning("No split '%s' (data.val_split): the last epoch is kept, not the best.", name)
            return ()
        return self._open(name).samples

    def data_failures(self) -> list[Failure]:
        """The images that the reader left out, as failures of the first stage that would have used them."""
        problems = self.data.problems
        return [Failure(problem.path.stem, f"{problem.path}: {problem.what}") for problem in problems]

    def output(self, folder: str, image_id: str, suffix: str) -> Path:
        """The file of one image in one stage's folder."""
        return self.run.output(folder, image_id, suffix)

    def _open(self, split: str) -> Dataset:
        data, checkpoint = self.config.data, self.config.model.checkpoint
        if checkpoint and Path(checkpoint).is_file() and data.classes is None and has_no_labels(data):
            # Bare images: the classes are those that the given classifier knows.
            data = replace(data, classes=list(load_checkpoint(Path(checkpoint))[1].class_names))
        return open_split(data, split)


def open_split(data: DataConfig, split: str) -> Dataset:
    """One split of the configured data set; ConfigError when no root is given, DataError when it has no image."""
    if data.root is None:
        raise ConfigError("data.root is not set: add data.root=DIR, the folder of the data set.")
    dataset = open_dataset(
        Path(data.root),
        format=data.format,
        split=None if split == "all" else split,
        classes=read_class_names(data.classes),
        background_class=data.background_class,
        val_fraction=data.val_fraction,
    )
    if not dataset.samples:
        first = f" First problem: {dataset.problems[0].path}: {dataset.problems[0].what}" if dataset.problems else ""
        raise DataError(f"{data.root}: no usable image in split '{split}'.{first}")
    return dataset


def has_no_labels(data: DataConfig) -> bool:
    """Whether the data set is a plain folder of images."""
    if data.format != "auto" or data.root is None:
        return data.format == "images"
    return guess_format(Path(data.root))[0] == "images"


def read_class_names(classes: object) -> tuple[str, ...] | None:
    """`data.classes`: a list of names, a text file with one name per line, or None for the data set's own."""
    if classes is None:
        return None
    if isinstance(classes, str):
        path = Path(classes)
        if not path.is_file():
            raise ConfigError(f"data.classes: expected a list of names or a text file, but there is no file '{path}'.")
        return tuple(line.strip() for line in path.read_text("utf8").splitlines() if line.strip())
    if isinstance(classes, list) and all(isinstance(name, str) for name in classes):
        return tuple(classes)
    raise ConfigError(f"data.classes: expected a list of names or a text file, but got {classes!r}.")
