"""One trial: the run's settings with others in their place, judged on some images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsl.config import Config, load_config
from wsl.errors import ConfigError, DataError, WslError
from wsl.pipeline.images import failure_of
from wsl.pipeline.label_maker import build_label_maker
from wsl.pipeline.run_folder import Failure
from wsl.pipeline.tuning.images import ImageReader, keep_images
from wsl.pipeline.tuning.objectives import LabelMapGoal, Objective, sweep_backgrounds
from wsl.pipeline.tuning.space import METHOD, Settings, to_overrides
from wsl.pipeline.tuning.trials import Outcome
from wsl.seeds.label_free import LabelFree
from wsl.seeds.label_free.rule import Values
from wsl.types import Sample

STEPS = 100
BACKGROUND = "refine.background"


def configure(base: Path, settings: Settings) -> Config:
    """The configuration `wsl run --config base key=value ...` would have; ConfigError as there."""
    return load_config(str(base), to_overrides(settings))


@dataclass(frozen=True)
class TrialWork:
    """(settings, number of images) -> outcome; can be sent to other processes."""

    base: Path
    reader: ImageReader
    samples: tuple[Sample, ...]
    objective: Objective

    def __call__(self, job: tuple[Settings, int]) -> Outcome:
        settings, count = job
        began = time.perf_counter()
        images = keep_images(self.reader).each(self.samples[:count])
        try:
            value, error = self.objective.measure(configure(self.base, settings), images), ""
        except WslError as problem:
            value, error = None, str(problem)
        return Outcome(settings, count, value, round(time.perf_counter() - began, 3), error)

    def can_sweep(self, trials: Sequence[Settings]) -> bool:
        """Whether the trials differ in nothing but the background of unrefined maps, and mIoU is asked for."""
        if not (isinstance(self.objective, LabelMapGoal) and self.objective.name == "miou"):
            return False
        return len(trials) > 1 and all(self._only_cuts(settings) for settings in trials)

    def _only_cuts(self, settings: Settings) -> bool:
        if set(settings) != {METHOD, BACKGROUND} or settings[METHOD] != "none":
            return False
        return build_label_maker(configure(self.base, settings)).only_cuts

    def sweep(self, trials: Sequence[Settings], count: int) -> list[Outcome]:
        """All trials from one pass; see `sweep_backgrounds`."""
        goal = self.objective
        if not isinstance(goal, LabelMapGoal):
            raise ConfigError(f"--objective {goal.name}: only mIoU is swept.")
        began = time.perf_counter()
        rule = configure(self.base, trials[0]).refine.background_rule
        images = keep_images(self.reader).each(self.samples[:count])
        values = sweep_backgrounds(goal, rule, [settings[BACKGROUND] for settings in trials], images)
        each = round((time.perf_counter() - began) / len(trials), 3)
        return [Outcome(settings, count, value, each) for settings, value in zip(trials, values, strict=True)]


@dataclass(frozen=True)
class Look:
    """Reads an image once before the search: what it says of the threshold, or why it cannot be used."""

    reader: ImageReader

    @staticmethod
    def thresholds() -> Values:
        """0, 0.01, .. 0.99."""
        return np.arange(STEPS) / STEPS

    def __call__(self, sample: Sample) -> LabelFree | Failure:
        try:
            image = self.reader.read(sample)
            found = LabelFree(self.thresholds())
            if self.reader.with_views and image.maps.class_ids:
                found.update(image.maps.scores, image.image, image.views, sample.image_id)
            return found
        except DataError as error:
            return failure_of(sample, error)
