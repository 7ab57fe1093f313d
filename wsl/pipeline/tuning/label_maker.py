"""From settings to what makes an image's label map or boxes: the composition of the seeds and refine stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

from wsl.config import Config
from wsl.errors import ConfigError
from wsl.refine.labelling import refine_labels
from wsl.refine.refiner import RefineInput, Refiner, build_refiner
from wsl.seeds.background import check_background, compute_background
from wsl.seeds.labels import check_two_thresholds, seed_label_map
from wsl.seeds.rules import NO_CLEANING, Cleaning, LabelRule, build_cleaning, build_rule
from wsl.types import Image, LabelMap, Scores


@dataclass(frozen=True)
class LabelMaker:
    """Score maps of one image to its label map, as the stages seeds and refine do it; see `build_label_maker`."""

    refiner: Refiner
    rule: LabelRule
    cleaning: Cleaning
    seeds: dict[str, object]
    background_rule: str
    background: float

    def __call__(self, image: Image, scores: Scores, class_ids: tuple[int, ...]) -> LabelMap:
        """uint8 (H, W), 255 = not sure. image: uint8 (H, W, 3). scores: float32 (K, H, W) in [0, 1]."""
        seeds = None
        if self.refiner.needs != "scores":
            seeds = seed_label_map(scores, class_ids, **self.seeds)  # type: ignore[arg-type]
        background = compute_background(scores, self.background_rule, self.background)
        return refine_labels(
            RefineInput(image, scores, seeds, class_ids, background), self.refiner, self.rule, self.cleaning
        )

    def for_image(self, image: Image, class_ids: tuple[int, ...]) -> Callable[[Scores], LabelMap]:
        """The same for score maps of one image."""
        return lambda scores: self(image, scores, class_ids)

    @property
    def only_cuts(self) -> bool:
        """Whether the label map is nothing but the scores cut at the background's."""
        names = type(self.refiner).__name__, type(self.rule).__name__
        return names == ("Unrefined", "Argmax") and self.cleaning == NO_CLEANING


def build_label_maker(config: Config) -> LabelMaker:
    """The refiner, label rule and thresholds of a configuration, checked.

    Raises ConfigError for settings that do not fit, and for refiners that look at a network's features, which are not
    stored.
    """
    settings = config.refine
    check_two_thresholds(config.seeds.rule, config.seeds.foreground, config.seeds.background)
    check_background(settings.background_rule, settings.background)
    refiner = build_refiner(settings.method, **settings.options)
    if refiner.guide:
        raise ConfigError(f"refine.method={settings.method} looks at {refiner.guide} of a network: it is not tuned.")
    rule, cleaning = _build_rule(config)
    return LabelMaker(
        refiner, rule, cleaning, asdict(config.seeds), settings.background_rule, float(settings.background)
    )


def _build_rule(config: Config) -> tuple[LabelRule, Cleaning]:
    labels = getattr(config, "labels", None)
    if labels is None:
        return build_rule("argmax"), NO_CLEANING
    own = {each.name: getattr(labels, each.name) for each in fields(Cleaning) if hasattr(labels, each.name)}
    return build_rule(labels.rule, **labels.options), build_cleaning(**own)
