"""The evaluate stage: one pass over the images, every result of the run against the ground truth.

The only stage, besides the pictures of report, that reads ground-truth masks and boxes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from wsl.cam.store import read_everything
from wsl.errors import DataError
from wsl.evaluate.accumulate import accumulate
from wsl.evaluate.certainty.resampling import Resampling
from wsl.evaluate.files.options import Evaluation, add_intervals, describe_classes, write_evaluation
from wsl.evaluate.metrics import MetricSettings
from wsl.evaluate.metrics.sweep_metrics import check_unit_range
from wsl.evaluate.thresholds import CHOICES, GivenThreshold, ThresholdRequest, find_needs
from wsl.pipeline.context import Context
from wsl.pipeline.label_scorer import ImageLabelScorer
from wsl.pipeline.run_case import RunCase, to_map_case
from wsl.pipeline.run_folder import Failure
from wsl.pipeline.scorers import BoxScorer, InstanceScorer, MapBoxScorer, MaskScorer, Scorer
from wsl.pipeline.work import StageFiles
from wsl.seeds.label_free import LABEL_FREE_RULES
from wsl.types import ClassSet, Sample

log = logging.getLogger("wsl")

SCORES = Path("scores")
FEW = 12  # images per process: one takes some tenths of a second


@dataclass(frozen=True)
class _Plan:
    """What is scored and how; can be sent to other processes."""

    classes: ClassSet
    settings: MetricSettings
    single_label: bool
    has_boxes: bool
    with_views: bool
    files: StageFiles
    min_area: float


@dataclass
class _Sums:
    """The scorers so far, and the images that could not be scored."""

    scorers: list[Scorer]
    failures: list[Failure] = field(default_factory=list)

    def merge(self, other: _Sums) -> None:
        for mine, theirs in zip(self.scorers, other.scorers, strict=True):
            mine.merge(theirs)
        self.failures += other.failures


def score_run(context: Context, files: StageFiles) -> tuple[dict[str, int], list[Failure]]:
    """Writes scores/scores.json, scores.csv and per_image/; returns how many images were scored, and those that could
    not be."""
    samples = finished(context, files)
    plan = _make_plan(context, files, samples)
    if not plan.settings.has_masks and not plan.has_boxes:
        log.warning("evaluate: the data set has no masks and no boxes, so only image-level labels are scored.")
    sums = accumulate(
        samples,
        partial(_build, plan),
        partial(_update, plan),
        workers=min(context.config.workers, os.cpu_count() or 1),
        progress=context.progress,
        title="evaluate",
        few=FEW,
    )
    write_evaluation(context.run.path / SCORES, _evaluate(context, sums))
    return {"images": len(context.samples), "scored": len(samples) - len(sums.failures)}, sums.failures


def _evaluate(context: Context, sums: _Sums) -> Evaluation:
    scores = [score for scorer in sums.scorers for score in scorer.scores()]
    tables = {name: table for scorer in sums.scorers for name, table in scorer.tables().items()}
    about = {"kind": "run", "split": context.config.data.split, CHOICES: _choices(sums)}
    about |= describe_classes(context.classes)
    replicates = context.config.evaluate.intervals
    resampling = Resampling(replicates, seed=context.config.seed) if replicates else None
    return add_intervals(Evaluation(scores, tables, about), resampling)


def _choices(sums: _Sums) -> dict[str, float]:
    found: dict[str, float] = {}
    for scorer in sums.scorers:
        if isinstance(scorer, MaskScorer):
            found |= scorer.sweep.choices()
        elif isinstance(scorer, MapBoxScorer):
            found |= scorer.metrics.choices()
    return found


def _make_plan(context: Context, files: StageFiles, samples: Sequence[Sample]) -> _Plan:
    settings = _make_settings(context, files, samples)
    return _Plan(
        classes=context.classes,
        settings=settings,
        single_label=context.data.single_label,
        has_boxes=context.data.has_boxes,
        with_views="views" in find_needs(settings.requests),
        files=files,
        min_area=context.config.export.min_area,
    )


def _make_settings(context: Context, files: StageFiles, samples: Sequence[Sample]) -> MetricSettings:
    """The maps are scored at the best threshold, at the fixed one of refine, and at the label-free rule's."""
    config = context.config
    given, requests = [], [ThresholdRequest("oracle")]
    if config.refine.background_rule == "constant":
        given.append(GivenThreshold("miou", config.refine.background, "fixed"))
    if config.evaluate.label_free != "none" and _can_choose(config.evaluate.label_free, files, samples):
        requests.append(ThresholdRequest("label_free", config.evaluate.label_free))
    return MetricSettings(
        classes=context.classes,
        predicted_ignore=config.evaluate.predicted_ignore,
        absent=config.evaluate.absent,
        background=config.evaluate.background,
        steps=config.evaluate.sweep_steps,
        requests=tuple(requests),
        given=tuple(given),
        has_masks=context.data.has_masks,
        has_boxes=context.data.has_boxes,
    )


def _can_choose(rule: str, files: StageFiles, samples: Sequence[Sample]) -> bool:
    """Whether the maps have what the label-free rule needs, by the first of them; told once when not."""
    if "views" not in LABEL_FREE_RULES.get(rule).needs or not samples:
        return True
    image_id = samples[0].image_id
    if len(read_everything(files.maps(image_id), image_id, with_views=True)[2]) > 1:
        return True
    log.info("evaluate: evaluate.label_free=%s needs maps of several cam.scales; left out.", rule)
    return False


def _build(plan: _Plan) -> _Sums:
    """What can be scored with the ground truth that the data set has."""
    scorers: list[Scorer] = [ImageLabelScorer(plan.classes, plan.single_label)]
    if plan.settings.has_masks:
        scorers.append(MaskScorer(plan.settings))
    if plan.has_boxes:
        scorers += [MapBoxScorer(plan.settings), BoxScorer(plan.settings)]
        scorers.append(InstanceScorer(plan.classes, plan.min_area))
    return _Sums(scorers)


def _update(plan: _Plan, sums: _Sums, sample: Sample) -> None:
    try:
        case = _read_case(plan, sample)
        for scorer in sums.scorers:
            scorer.update(case)
    except DataError as error:
        sums.failures.append(Failure(sample.image_id, str(error)))


def _read_case(plan: _Plan, sample: Sample) -> RunCase:
    """Reads everything before anything is counted, so that an image is in all scores or in none."""
    maps = read_everything(plan.files.maps(sample.image_id), sample.image_id, plan.with_views)
    case = RunCase(sample, *maps, plan.files, len(plan.classes)).load()
    if plan.settings.has_masks:
        check_unit_range(to_map_case(case, plan.settings))  # reads the image too where a rule looks at it
    return case


def finished(context: Context, files: StageFiles) -> list[Sample]:
    """The samples that went through all stages."""
    steps = (files.maps, files.boxes, files.seeds, files.refined)
    return [sample for sample in context.samples if all(step(sample.image_id).exists() for step in steps)]
