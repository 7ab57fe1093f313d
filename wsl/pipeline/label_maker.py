"""From settings to what makes an image's label map: the composition of the stages seeds and refine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.config import Config
from wsl.data.bands import read_bands
from wsl.errors import ConfigError, suggest
from wsl.refine.labelling import refine_labels
from wsl.refine.none import Unrefined
from wsl.refine.refiner import RefineInput, Refiner, build_refiner
from wsl.seeds.background import check_background, compute_background
from wsl.seeds.labels import check_two_thresholds, seed_label_map
from wsl.seeds.rules import NO_CLEANING, Cleaning, LabelRule, build_cleaning, build_rule
from wsl.seeds.rules.argmax import Argmax
from wsl.types import ClassSet, Image, LabelMap, Scores


@dataclass(frozen=True)
class LabelMaker:
    """Score maps of one image to its label map, as the stages seeds and refine do it; see `build_label_maker`."""

    refiner: Refiner
    rule: LabelRule
    cleaning: Cleaning
    seeds: dict[str, Any]
    background_rule: str
    background: float
    bands: str = "rgb"

    def __call__(
        self,
        image: Image,
        scores: Scores,
        class_ids: tuple[int, ...],
        *,
        seeds: LabelMap | None = None,
        bands: NDArray[Any] | None = None,
        guide: NDArray[Any] | None = None,
    ) -> LabelMap:
        """uint8 (H, W), 255 = not sure. image: uint8 (H, W, 3). scores: float32 (K, H, W) in [0, 1].

        seeds: those of the seeds stage, made here when None. bands, guide: see `RefineInput`.
        """
        if seeds is None and self.refiner.needs != "scores":
            seeds = seed_label_map(scores, class_ids, **self.seeds)
        background = compute_background(scores, self.background_rule, self.background)
        inputs = RefineInput(image, scores, seeds, class_ids, background, bands, guide)
        return refine_labels(inputs, self.refiner, self.rule, self.cleaning)

    def for_image(
        self, image: Image, class_ids: tuple[int, ...], bands: NDArray[Any] | None = None
    ) -> Callable[[Scores], LabelMap]:
        """The same for score maps of one image."""
        return lambda scores: self(image, scores, class_ids, bands=bands)

    def read_bands(self, path: Path) -> NDArray[np.float32] | None:
        """What `__call__` wants as `bands` for the image in this file: None unless `refine.bands` is `all`."""
        return read_bands(path) if self.bands == "all" else None

    @property
    def only_cuts(self) -> bool:
        """Whether the label map is nothing but the scores cut at the background's."""
        return isinstance(self.refiner, Unrefined) and isinstance(self.rule, Argmax) and self.cleaning == NO_CLEANING


def build_label_maker(config: Config, classes: ClassSet | None = None) -> LabelMaker:
    """The refiner, label rule and thresholds of a configuration, checked: ConfigError for what does not fit.

    classes: with them, values per class may name the class (`labels.min_area: {cat: 50}`) in place of its id.
    """
    settings = config.refine
    check_two_thresholds(config.seeds.rule, config.seeds.foreground, config.seeds.background)
    check_background(settings.background_rule, settings.background)
    refiner = build_refiner(settings.method, **settings.options)
    rule, cleaning = _build_rule(config, classes)
    return LabelMaker(
        *(refiner, rule, cleaning, asdict(config.seeds), settings.background_rule, float(settings.background)),
        bands=settings.bands,
    )


def check_unguided(config: Config, verb: str) -> None:
    """Raises ConfigError for a refiner that looks at what a network says of an image, which `verb` does not have."""
    guide = build_label_maker(config).refiner.guide
    if guide:
        raise ConfigError(f"refine.method={config.refine.method} looks at {guide} of a network: {verb} has none.")


def _build_rule(config: Config, classes: ClassSet | None) -> tuple[LabelRule, Cleaning]:
    labels = config.labels
    options = {name: _by_id(f"labels.{name}", value, classes) for name, value in labels.options.items()}
    own = {each.name: getattr(labels, each.name) for each in fields(Cleaning)}
    own["min_area"] = _by_id("labels.min_area", own["min_area"], classes)
    return build_rule(labels.rule, **options), build_cleaning(**own)


def _by_id(setting: str, value: Any, classes: ClassSet | None) -> Any:
    """A mapping by class name as one by class id; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    if classes is None:  # before the data set is opened: the numbers alone are checked
        return dict(enumerate(value.values(), 1))
    known = {name: class_id for class_id, name in enumerate(classes.names, 1)}
    strange = [key for key in value if key not in known and not str(key).isdecimal()]
    if strange:
        raise ConfigError(f"{setting}: unknown class '{strange[0]}'.{suggest(str(strange[0]), known)}")
    return {known.get(key, key): number for key, number in value.items()}
