"""The thresholds at which score maps are scored, besides the curve."""

from __future__ import annotations

from collections.abc import Sequence

from wsl.errors import ConfigError
from wsl.evaluate.metrics.case import ScoreMapCase
from wsl.evaluate.metrics.metric import MetricSettings
from wsl.evaluate.thresholds import GivenThreshold
from wsl.seeds.label_free import LabelFree
from wsl.types import Scores


def make_label_free(settings: MetricSettings, thresholds: Sequence[float]) -> LabelFree | None:
    """The label-free rules that are asked for; None without any. ConfigError for another rule than `constant`."""
    rules = list(dict.fromkeys(each.what for each in settings.requests if each.way == "label_free"))
    if not rules:
        return None
    if settings.rule != "constant":
        raise ConfigError(f"threshold: label-free rules choose scores, but the background rule is '{settings.rule}'.")
    return LabelFree(thresholds, rules)


def list_thresholds(metric: str, settings: MetricSettings, label_free: LabelFree | None) -> list[GivenThreshold]:
    """Thresholds of one metric: those given, then the label-free choices on the images so far."""
    given = [each for each in settings.given if each.metric == metric]
    if label_free is None or not label_free.images:
        return given
    chosen = [label_free.choose(rule) for rule in label_free.rules]
    how = {"images used" if metric == "miou" else "maps used": label_free.images}  # boxes: a map per class
    return given + [
        GivenThreshold(metric, each.threshold, "label_free", {"label-free rule": each.rule} | how) for each in chosen
    ]


def asks_oracle(settings: MetricSettings) -> bool:
    """Whether the scores at the best threshold are wanted: when asked for, or when nothing is."""
    return not settings.requests or any(request.way == "oracle" for request in settings.requests)


def add_evidence(label_free: LabelFree | None, case: ScoreMapCase, scores: Scores, views: Sequence[Scores]) -> None:
    """Shows one image to the label-free rules; images that lack what a rule needs are left out, and not counted."""
    if label_free is not None and not label_free.lacks(case.image, views):
        label_free.update(scores, case.image, views, case.image_id)
