"""`two_threshold`: IRN's confidence labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from wsl.errors import ConfigError
from wsl.seeds.background import compute_background
from wsl.seeds.labels import check_two_thresholds, combine_labels, label_of_evidence
from wsl.seeds.rules.rule import LABEL_RULES, Evidence, LabelRule, Plane, check_share
from wsl.types import LabelMap, Scores


@LABEL_RULES.register("two_threshold")
@dataclass(frozen=True)
class TwoThreshold(LabelRule):
    """IRN (Ahn et al. 2019): the image is refined under a strict and under a generous constant background.

    foreground, background: the two constants, scores in [0, 1], foreground >= background. A pixel that the strict view
    gives a class has it; one that both views call background is background; the others are 255.
    """

    foreground: float = 0.30
    background: float = 0.05
    views: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_share("foreground", self.foreground)
        check_share("background", self.background)
        try:
            check_two_thresholds("constant", self.foreground, self.background)
        except ConfigError as error:
            raise ConfigError(f"labels.foreground and labels.background: {error}") from None

    def backgrounds(self, scores: Scores) -> tuple[Plane, ...]:
        """The strict and the generous plane."""
        return tuple(compute_background(scores, "constant", value) for value in (self.foreground, self.background))

    def join(self, evidences: Sequence[Evidence], class_ids: Sequence[int]) -> LabelMap:
        strict, generous = (label_of_evidence(each[0], each[1:], class_ids) for each in evidences)
        return combine_labels(strict, generous)
