"""What can be asked of an evaluation of files, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from wsl.errors import ConfigError
from wsl.evaluate.certainty.bootstrap import bootstrap, bootstrap_classes
from wsl.evaluate.certainty.resampling import Resampling
from wsl.evaluate.certainty.run_files import CLASSES
from wsl.evaluate.certainty.table_files import write_tables
from wsl.evaluate.certainty.tables import ImageTable
from wsl.evaluate.metrics import MetricSettings
from wsl.evaluate.result import Score, describe_versions, name_table, write_scores
from wsl.evaluate.thresholds import GivenThreshold, ThresholdRequest
from wsl.types import ClassSet


@dataclass(frozen=True)
class EvaluateOptions:
    """Everything that is chosen.

    classes: names for a folder of PNGs, in the order of their ids. kind: what the prediction is, "auto" = guessed.
    split: which part of a data set is scored. metrics: names, "all", or none for the default ones. thresholds: see
    `wsl.evaluate.thresholds.WAYS`. rule, values, predicted_ignore, absent, background: see `MetricSettings`. protocol:
    of MaxBoxAcc and PxAP; None is the ground truth's own, for a data set "original", for wsolevaluation's metadata
    "wsolevaluation". missing: see `pair_files`. workers: processes. intervals: bootstrap samples for intervals, 0 =
    none; level, interval_method, seed: of them, see `bootstrap`. boundary: boundary AP of masks too. mask_root,
    rankings: see `evaluate_wsol_folder`.
    """

    classes: ClassSet | None = None
    kind: str = "auto"
    split: str | None = None
    metrics: tuple[str, ...] = ()
    thresholds: tuple[str, ...] = ()
    rule: str = "constant"
    values: tuple[float, ...] = ()
    protocol: str | None = None
    predicted_ignore: str = "background"
    absent: str = "skip"
    background: str = "include"
    missing: str = "error"
    workers: int = 1
    intervals: int = 0
    level: float = 0.95
    interval_method: str = "percentile"
    seed: int = 0
    boundary: bool = False
    mask_root: Path | None = None
    rankings: Path | None = None

    def __post_init__(self) -> None:
        for name, value in (("intervals", self.intervals), ("workers", self.workers)):
            if value < 0:
                raise ConfigError(f"{name}: expected a whole number from 0, but got {value}.")
        self.resampling()

    def resampling(self) -> Resampling | None:
        """How intervals are drawn; None when none are wanted. ConfigError for a level or method that there is not."""
        return Resampling(self.intervals, self.level, self.seed, self.interval_method) if self.intervals else None

    def settings(
        self,
        classes: ClassSet,
        requests: tuple[ThresholdRequest, ...] = (),
        given: Sequence[GivenThreshold] = (),
        **has: bool,
    ) -> MetricSettings:
        """What the metrics are told."""
        return MetricSettings(
            classes=classes,
            predicted_ignore=self.predicted_ignore,
            absent=self.absent,
            background=self.background,
            rule=self.rule,
            values=self.values,
            protocol=self.protocol or "original",
            requests=requests,
            given=tuple(given),
            **has,
        )


@dataclass(frozen=True)
class Evaluation:
    """Scores, the per-image tables behind them, and what all have in common (split, chosen thresholds, ...)."""

    scores: list[Score]
    tables: Mapping[str, ImageTable] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def with_counts(self, counts: Mapping[str, int]) -> Evaluation:
        """The same with more counts in every score."""
        return replace(self, scores=[replace(score, counts=score.counts | dict(counts)) for score in self.scores])


def describe_classes(classes: ClassSet) -> dict[str, Any]:
    """For `about`: the names by class id, the background's first."""
    return {CLASSES: [classes.background_name, *classes.names]}


def add_intervals(evaluation: Evaluation, resampling: Resampling | None) -> Evaluation:
    """Bootstrap intervals over images for the scores that have a table, and for each of their classes; as it is for
    None."""
    if resampling is None:
        return evaluation
    taken: set[str] = set()
    scores = []
    for score in evaluation.scores:
        name = name_table(score, taken)
        taken.add(name)
        table = evaluation.tables.get(name)
        scores.append(score if table is None else _add_interval(score, table, resampling, evaluation.about))
    return replace(evaluation, scores=scores)


def _add_interval(score: Score, table: ImageTable, resampling: Resampling, about: Mapping[str, Any]) -> Score:
    options = asdict(resampling)
    found = bootstrap(table, **options)
    interval = {
        "low": found.low,
        "high": found.high,
        "level": found.level,
        "method": f"bootstrap over images, {found.method}",
        "replicates": found.replicates,
    }
    names = about.get(CLASSES, [])
    per_class = {name: dict(measures) for name, measures in score.per_class.items()}
    for class_id, each in bootstrap_classes(table, **options).items():
        name = names[class_id] if class_id < len(names) else f"class {class_id}"
        if name in per_class:
            per_class[name] |= {"low": each.low, "high": each.high}
    return replace(score, interval=None if found.low is None else interval, per_class=per_class)


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """scores.json, scores.csv and per_image/*.npz in `folder`."""
    write_scores(folder, evaluation.scores, evaluation.about | {"versions": describe_versions()})
    write_tables(folder, evaluation.tables)
