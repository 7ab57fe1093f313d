"""Where a threshold comes from: fixed, chosen on other images, chosen without ground truth, or the oracle's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wsl.errors import ConfigError, DataError, suggest
from wsl.evaluate.result import Score, read_about
from wsl.seeds.label_free import DEFAULT_RULE, LABEL_FREE_RULES

WAYS = ("oracle", "fixed:VALUE", "label_free[:RULE]", "val:SPLIT", "from:FOLDER")
CHOICES = "chosen thresholds"  # key of `about` in a score file
SETTINGS = ("background rule", "protocol")  # keys of `about` on which thresholds depend


@dataclass(frozen=True)
class ThresholdRequest:
    """One way to get a threshold: `way` is oracle, fixed, label_free, val or from; `what` its value, rule, split or
    folder."""

    way: str
    what: str = ""


@dataclass(frozen=True)
class GivenThreshold:
    """A threshold known before the images are scored: `metric` it is for, value, provenance, and how it was found."""

    metric: str
    value: float
    provenance: str
    how: dict[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As it stands in a score."""
        return {"value": self.value, "provenance": self.provenance} | self.how


def parse_requests(texts: Sequence[str]) -> tuple[ThresholdRequest, ...]:
    """Requests of texts like "0.3", "oracle", "label_free:otsu", "val:train", "from:scores_of_val".

    ConfigError with the list of ways for anything else.
    """
    return tuple(dict.fromkeys(_parse(text.strip()) for text in texts))


def _parse(text: str) -> ThresholdRequest:
    way, _, what = text.partition(":")
    if text == "oracle":
        return ThresholdRequest("oracle")
    if way == "label_free":
        LABEL_FREE_RULES.get(what or DEFAULT_RULE)
        return ThresholdRequest("label_free", what or DEFAULT_RULE)
    if way in ("val", "from") and what:
        return ThresholdRequest(way, what)
    return ThresholdRequest("fixed", str(_parse_value(what if way == "fixed" else text, text)))


def _parse_value(number: str, text: str) -> float:
    try:
        return float(number)
    except ValueError:
        ways = [way.split(":")[0].split("[")[0] for way in WAYS]
        raise ConfigError(
            f"threshold: expected a number or one of {', '.join(WAYS)}, but got '{text}'.{suggest(text, ways)}"
        ) from None


def find_needs(requests: Sequence[ThresholdRequest]) -> frozenset[str]:
    """What the label-free rules that are asked for need beyond the maps: "image", "views"."""
    rules = [LABEL_FREE_RULES.get(request.what) for request in requests if request.way == "label_free"]
    return frozenset(need for rule in rules for need in rule.needs)


def give_fixed(requests: Sequence[ThresholdRequest], metrics: Sequence[str]) -> list[GivenThreshold]:
    """The fixed thresholds, the same number for each of `metrics`."""
    values = [float(request.what) for request in requests if request.way == "fixed"]
    return [GivenThreshold(metric, value, "fixed") for value in values for metric in metrics]


def give_from_folder(folder: Path, metrics: Sequence[str], settings: Mapping[str, str]) -> list[GivenThreshold]:
    """The thresholds that were best in another evaluation, one for each of `metrics`.

    `settings` are those that a threshold depends on (SETTINGS). DataError when the folder holds no scores, or lacks the
    threshold of a metric; ConfigError when it was made with other settings.
    """
    about = read_about(folder)
    choices = about.get(CHOICES)
    if not isinstance(choices, dict) or not choices:
        raise DataError(f"{folder}: expected scores of score maps, which choose thresholds, but there is no choice.")
    lacking = [metric for metric in metrics if metric not in choices]
    if lacking:
        raise DataError(
            f"{folder}: it holds a threshold for {', '.join(choices)}, but none for {lacking[0]}; score the maps there "
            "with the same --metrics, or name fewer metrics here."
        )
    for key, value in settings.items():
        if about.get(key, value) != value:
            raise ConfigError(f"{folder}: its thresholds are for {key} {about[key]}, but {key} is {value} here.")
    return [GivenThreshold(each, float(choices[each]), "val", {"chosen on": str(folder)}) for each in metrics]


def refuse_overlap(way: str, chosen_on: Iterable[str], scored: Iterable[str]) -> None:
    """Raises ConfigError when a threshold would be chosen on images that are scored: that is the oracle's."""
    both = sorted(set(chosen_on) & set(scored))
    if both:
        raise ConfigError(
            f"threshold {way}: it would be chosen on images that are scored too ({len(both)}, such as '{both[0]}'): "
            "score another split, or take 'oracle', which says what it is."
        )


def add_gap(score: Score, given: GivenThreshold, best: float | None) -> Score:
    """`score` at a given threshold, with how it was found and how much less it is than the oracle's `best`."""
    gap = None if best is None or score.value is None else best - score.value
    return replace(score, threshold={**(score.threshold or {}), **given.record(), "gap to oracle": gap})
