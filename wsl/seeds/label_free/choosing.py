"""Chooses one threshold for a whole data set without ground truth, by any number of rules in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.checks import check_image, check_same_size, check_scores
from wsl.errors import ConfigError, DataError
from wsl.seeds.label_free.rule import LABEL_FREE_RULES, Evidence, Levels, Values
from wsl.seeds.level_search import LevelSearch
from wsl.types import Image, Scores

DEFAULT_RULE = "scale_agreement"  # the smallest gap to the oracle in benchmarks/study_thresholds.py
DIGITS = 9  # sums in another order differ in the last bits, which must not decide between two thresholds


@dataclass(frozen=True)
class LabelFreeChoice:
    """The threshold that a rule prefers, and its rating of each threshold (larger = better)."""

    rule: str
    threshold: float
    thresholds: tuple[float, ...]
    ratings: tuple[float, ...]


class LabelFree:
    """Rates all `thresholds` of the constant background rule by each of `rules`; images go in once.

    `thresholds` are scores in [0, 1], ascending. A pixel is foreground where its best class score is above the
    threshold, compared in float32. Images without classes say nothing and are not counted.
    """

    def __init__(self, thresholds: ArrayLike, rules: Sequence[str] = (DEFAULT_RULE,)) -> None:
        self._given = np.atleast_1d(np.asarray(thresholds, np.float64))
        self.thresholds = self._given.astype(np.float32)
        if not len(self.thresholds) or (np.diff(self.thresholds) <= 0).any():
            raise ConfigError("thresholds: expected at least one, ascending and different in float32.")
        self._search = LevelSearch(self.thresholds)
        self.rules = {name: LABEL_FREE_RULES.get(name)() for name in rules}
        self.totals: dict[str, Values] = {}
        self.images = 0

    def update(
        self, scores: Scores, image: Image | None = None, views: Sequence[Scores] = (), name: str = "image"
    ) -> None:
        """Adds one image.

        scores: floating (K, H, W). image: uint8 (H, W, 3), for the rules that look at colours. views: scores of the
        same classes and size made in other ways (one per scale), at least two, for `scale_agreement`. DataError when
        sizes differ, scores are not finite, or a rule lacks what it needs.
        """
        self._check(scores, image, views, name)
        if not len(scores):
            return
        evidence = Evidence(
            self._to_levels(scores.max(axis=0)), len(self.thresholds), image, self._to_view_levels(scores, views)
        )
        for rule_name, rule in self.rules.items():
            terms = rule.measure(evidence)
            self.totals[rule_name] = self.totals[rule_name] + terms if rule_name in self.totals else terms
        self.images += 1

    def lacks(self, image: Image | None, views: Sequence[Scores]) -> str:
        """What a rule needs and `update` would miss, in words; "" when there is all."""
        needs = {need for rule in self.rules.values() for need in rule.needs}
        if "image" in needs and image is None:
            return "the image itself"
        return "maps of at least 2 scales" if "views" in needs and len(views) < 2 else ""

    def merge(self, other: LabelFree) -> None:
        """Adds the sums of `other`, made with the same thresholds and rules."""
        if self.thresholds.tolist() != other.thresholds.tolist() or list(self.rules) != list(other.rules):
            raise ConfigError("Only label-free choices over the same thresholds and rules can be joined.")
        for name, terms in other.totals.items():
            self.totals[name] = self.totals[name] + terms if name in self.totals else terms
        self.images += other.images

    def choose(self, rule: str = DEFAULT_RULE) -> LabelFreeChoice:
        """The threshold with the best rating, the lowest of equal ones. DataError when no image had a class."""
        if not self.images:
            raise DataError("label-free threshold: expected at least one image with a class, but got none.")
        ratings = np.round(self.rules[rule].rate(self.totals[rule], self.images), DIGITS)
        best = float(self._given[int(np.argmax(ratings))])
        return LabelFreeChoice(rule, best, tuple(self._given.tolist()), tuple(ratings.tolist()))

    def _to_levels(self, best: NDArray[np.generic]) -> Levels:
        exceeded = self._search.find_exceeded(best.astype(np.float32, copy=False))
        return exceeded.astype(np.uint8) if len(self.thresholds) < 256 else exceeded

    def _to_view_levels(self, scores: Scores, views: Sequence[Scores]) -> tuple[Levels, ...]:
        if not any("views" in rule.needs for rule in self.rules.values()):
            return ()
        return tuple(np.stack([self._to_levels(view[row]) for view in views]) for row in range(len(scores)))

    def _check(self, scores: Scores, image: Image | None, views: Sequence[Scores], name: str) -> None:
        check_scores(scores, f"{name}: scores")
        for rule_name, rule in self.rules.items():
            if "image" in rule.needs and image is None:
                raise DataError(f"{name}: the rule '{rule_name}' needs the image itself, but it is not given.")
            if "views" in rule.needs and len(views) < 2:
                raise DataError(
                    f"{name}: the rule '{rule_name}' needs maps of at least 2 scales, but got {len(views)}: make the "
                    "maps with several cam.scales, or choose another rule."
                )
        if image is not None:
            check_image(image, name)
            check_same_size(image, scores[0] if len(scores) else image, f"{name}: image", "scores")
        for view in views:
            check_scores(view, f"{name}: view")
            if view.shape != scores.shape:
                raise DataError(f"{name}: expected views of shape {scores.shape}, but got {view.shape}.")
