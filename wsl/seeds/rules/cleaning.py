"""What is corrected in a label map after the rule: all of it off by default, in one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wsl.checks import check_label_map, check_same_size
from wsl.errors import ConfigError, DataError, suggest
from wsl.registry import check_option_names
from wsl.seeds.rules.certainty import ignore_conflicts, ignore_unsure, prefer_smaller
from wsl.seeds.rules.class_values import check_number, read_class_values
from wsl.seeds.rules.regions import fill_holes, ignore_borders, list_classes, remove_small
from wsl.seeds.rules.rule import Evidence, LabelRule, check_evidences, check_share
from wsl.types import BACKGROUND, IGNORE, LabelMap, Mask

CONFLICTS = ("winner", "ignore", "smaller")
REPLACEMENTS = {"background": BACKGROUND, "ignore": IGNORE}


@dataclass(frozen=True)
class Cleaning:
    """Corrections of a label map in the order of the options; the defaults change nothing.

    conflict: pixels of a class where several pass the rule: `winner` keeps the rule's, `smaller` gives them to the
    class with the smaller passing region (SEC), `ignore` makes them 255 where the two strongest classes are at most
    `conflict_margin` of evidence apart. min_confidence: below this share of the strongest channel in the sum of all,
    255 (CLIP-ES: 0.95). min_area: smaller 8-connected regions of a class become `small_regions`, `background` or
    `ignore`; a number, or {class id: number} with 0 for the others. fill_holes: holes in a class up to this area get
    the class. Areas are pixels if 1 or more, else a fraction of the image. ignore_margin: pixels this near to a border
    between two labels become 255. Errors are ConfigErrors that name `labels.<option>`.
    """

    conflict: str = "winner"
    conflict_margin: float = 0.1
    min_confidence: float = 0.0
    min_area: float | Mapping[int, float] = field(default=0.0, hash=False)
    small_regions: str = "background"
    fill_holes: float = 0.0
    ignore_margin: int = 0

    def __post_init__(self) -> None:
        for name, known in (("conflict", CONFLICTS), ("small_regions", REPLACEMENTS)):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"labels.{name}: unknown value {value!r}.{suggest(str(value), known)}")
        check_number("labels.conflict_margin", self.conflict_margin)
        check_share("min_confidence", self.min_confidence)
        check_number("labels.fill_holes", self.fill_holes)
        if isinstance(self.ignore_margin, bool) or not isinstance(self.ignore_margin, int) or self.ignore_margin < 0:
            raise ConfigError(
                f"labels.ignore_margin: expected whole pixels, at least 0, but got {self.ignore_margin!r}."
            )
        if isinstance(self.min_area, Mapping):
            object.__setattr__(self, "min_area", read_class_values("min_area", self.min_area))
        else:
            check_number("labels.min_area", self.min_area)

    def __call__(
        self, labels: LabelMap, evidence: Evidence, class_ids: Sequence[int], passing: Mask | None = None
    ) -> LabelMap:
        """`labels` uint8 (H, W), which hold 0, `class_ids` and 255, with the corrections made; they stay as they are.

        evidence: float32 (K + 1, H, W), background first. passing: bool (K, H, W), `find_passing` of the label rule;
        without it a class passes where it is above the background. K = 0: nothing is changed. Raises DataError for
        sizes and labels that do not fit.
        """
        evidence = _check_inputs(labels, evidence, class_ids)
        if not class_ids:
            return labels
        passing = evidence[1:] > evidence[:1] if passing is None else passing
        if passing.shape != evidence[1:].shape:
            raise DataError(f"passing: expected bool {evidence[1:].shape}, but got {passing.shape}.")
        return self._clean_regions(self._clean_pixels(labels, evidence, class_ids, passing))

    def _clean_pixels(self, labels: LabelMap, evidence: Evidence, class_ids: Sequence[int], passing: Mask) -> LabelMap:
        if self.conflict == "smaller":
            labels = prefer_smaller(labels, passing, class_ids)
        elif self.conflict == "ignore":
            labels = ignore_conflicts(labels, evidence, self.conflict_margin)
        return ignore_unsure(labels, evidence, self.min_confidence) if self.min_confidence else labels

    def _clean_regions(self, labels: LabelMap) -> LabelMap:
        # specks first: one inside a hole would keep the hole from being filled
        if self.min_area:
            labels = remove_small(labels, self._find_area, REPLACEMENTS[self.small_regions])
        if self.fill_holes:
            labels = fill_holes(labels, self.fill_holes)
        return ignore_borders(labels, self.ignore_margin) if self.ignore_margin else labels

    def _find_area(self, class_id: int) -> float:
        return self.min_area.get(class_id, 0.0) if isinstance(self.min_area, Mapping) else self.min_area


NO_CLEANING = Cleaning()


def build_cleaning(**options: Any) -> Cleaning:
    """The cleaning with these options; ConfigError with the nearest name for an unknown one."""
    check_option_names("labels", Cleaning, options)
    return Cleaning(**options)


def decide_labels(
    evidences: Sequence[Evidence], class_ids: Sequence[int], rule: LabelRule, cleaning: Cleaning = NO_CLEANING
) -> LabelMap:
    """Label map uint8 (H, W) with 255: the rule joins the evidences of its views, then the cleaning corrects it.

    evidences: float32 (K + 1, H, W) each, as many as `rule.views`, background first. The cleaning looks at the first
    (for the rules with two views the strict one: the one that the classes come from).
    """
    labels = rule.decide(evidences, class_ids)
    if cleaning == NO_CLEANING or not class_ids:
        return labels
    evidence = check_evidences(evidences[:1], class_ids)[0]
    return cleaning(labels, evidence, class_ids, rule.find_passing(evidence, class_ids))


def _check_inputs(labels: LabelMap, evidence: Evidence, class_ids: Sequence[int]) -> Evidence:
    check_label_map(labels, "labels")
    checked = check_evidences([evidence], class_ids)[0]
    check_same_size(labels, checked[0], "labels", "evidence")
    strange = sorted(set(list_classes(labels)) - set(class_ids))
    if strange:
        raise DataError(f"labels: expected only 0, 255 and the classes {tuple(class_ids)}, but found {strange}.")
    return checked
