"""What a label rule is: which backgrounds an image is refined under, and how the evidences become one label map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_scores
from wsl.errors import ConfigError, DataError
from wsl.registry import Registry, check_option_names
from wsl.seeds.labels import check_class_ids
from wsl.types import BACKGROUND, LabelMap, Mask, Scores

Evidence = NDArray[np.float32]  # (K + 1, H, W), >= 0, background first
Plane = NDArray[np.float32]  # (H, W)


class LabelRule(ABC):
    """One way from evidence to labels. Subclasses are frozen dataclasses whose fields are the options.

    `views`: number of evidences that `decide` takes, one for each background.
    """

    views: ClassVar[int] = 1

    def backgrounds(self, scores: Scores) -> tuple[Plane, ...]:
        """Background planes float32 (H, W) in [0, 1] for scores floating (K, H, W): the image is refined under each.

        () = once, under the background and the seeds that the refine stage has anyway.
        """
        return ()

    def decide(self, evidences: Sequence[Evidence], class_ids: Sequence[int]) -> LabelMap:
        """Label map uint8 (H, W) with 255 from one evidence (K + 1, H, W) for each view, background first.

        K = 0: all background. Ties go to the background, then to the first class; thresholds compare in float32.
        Raises DataError for another number of evidences, unequal sizes, NaN, inf or negative values and ids that do
        not fit.
        """
        checked = check_evidences(evidences, class_ids)
        if len(checked) != self.views:
            raise DataError(
                f"{type(self).__name__}: expected {self.views} evidences, one for each background, "
                f"but got {len(checked)}."
            )
        if not class_ids:
            return np.full(checked[0].shape[1:], BACKGROUND, np.uint8)
        return self.join(checked, class_ids)

    @abstractmethod
    def join(self, evidences: Sequence[Evidence], class_ids: Sequence[int]) -> LabelMap:
        """`decide` for checked float32 evidence of K >= 1 classes."""

    def find_passing(self, evidence: Evidence, class_ids: Sequence[int]) -> Mask:
        """bool (K, H, W): where each class alone would be allowed; by default where it is above the background."""
        return evidence[1:] > evidence[:1]


LABEL_RULES: Registry[type[LabelRule]] = Registry("label rule")


def check_evidences(evidences: Sequence[Evidence], class_ids: Sequence[int]) -> list[Evidence]:
    """The evidences as float32; DataError unless all are finite, >= 0, (K + 1, H, W) and of one size."""
    for evidence in evidences:
        check_scores(evidence, "evidence")
        if evidence.shape[1:] != evidences[0].shape[1:] or len(evidence) == 0 or evidence[0].size == 0:
            raise DataError(f"evidence: expected planes of one size, (K + 1, H, W), but got {evidence.shape}.")
        check_class_ids(class_ids, len(evidence) - 1)
        if evidence.min() < 0:
            raise DataError(f"evidence: expected values of at least 0, but got {evidence.min():g}; clip it first.")
    return [np.asarray(evidence, np.float32) for evidence in evidences]


def build_rule(name: str, **options: Any) -> LabelRule:
    """The label rule of that name with its options; ConfigError with the nearest name for an unknown name or option."""
    rule = LABEL_RULES.get(name)
    check_option_names(f"labels.rule={name}", rule, options)
    made: LabelRule = rule(**options)
    return made


def check_share(name: str, value: float) -> None:
    """Raises ConfigError unless the option is a number in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ConfigError(f"labels.{name}: expected a value in [0, 1], but got {value!r}.")


def check_exponent(name: str, value: float) -> None:
    """Raises ConfigError unless the option is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (np.isfinite(value) and value > 0):
        raise ConfigError(f"labels.{name}: expected an exponent above 0, but got {value!r}.")
