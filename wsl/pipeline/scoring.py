"""The evaluate stage: one pass over the images, every result of the run against the ground truth.

The only stage, besides the pictures of report, that reads ground-truth masks and boxes.
"""

from __future__ import annotations

import logging
from pathlib import Path

from wsl.evaluate.result import Score, write_scores
from wsl.pipeline.context import Context
from wsl.pipeline.scorers import BoxScorer, DetectionScorer, ImageLabelScorer, MaskScorer, Scorer
from wsl.pipeline.work import StageFiles
from wsl.progress import track
from wsl.types import Sample

log = logging.getLogger("wsl")

SCORES = Path("scores")


def score_run(context: Context, files: StageFiles) -> dict[str, int]:
    """Writes scores/scores.json and scores.csv; returns how many images were scored."""
    samples = finished(context, files)
    scorers = build_scorers(context)
    for sample in track(samples, context.progress, "evaluate", len(samples)):
        maps = files.read_maps(sample.image_id)
        for scorer in scorers:
            scorer.update(sample, maps, files)
    scores: list[Score] = [score for scorer in scorers for score in scorer.scores()]
    write_scores(context.run.path / SCORES, scores)
    return {"images": len(context.samples), "scored": len(samples)}


def finished(context: Context, files: StageFiles) -> list[Sample]:
    """The samples that went through all stages."""
    steps = (files.maps, files.boxes, files.seeds, files.refined)
    return [sample for sample in context.samples if all(step(sample.image_id).exists() for step in steps)]


def build_scorers(context: Context) -> list[Scorer]:
    """What can be scored with the ground truth that the data set has."""
    scorers: list[Scorer] = [ImageLabelScorer(context.classes, context.data.single_label)]
    if context.data.has_masks:
        scorers.append(MaskScorer(context.classes, context.config.evaluate, context.config.refine.background))
    if context.data.has_boxes:
        scorers += [BoxScorer(context.classes), DetectionScorer(context.classes)]
    if len(scorers) == 1:
        log.warning("evaluate: the data set has no masks and no boxes, so only image-level labels are scored.")
    return scorers
