"""The evaluate stage: one pass over the images, every result of the run against the ground truth.

The only stage, besides the pictures of report, that reads ground-truth masks and boxes.
"""

from __future__ import annotations

import logging
from pathlib import Path

from wsl.data.ground_truth import read_ground_truth
from wsl.data.images import read_image_size
from wsl.errors import DataError
from wsl.evaluate.result import Score, write_scores
from wsl.pipeline.context import Context
from wsl.pipeline.run_folder import Failure
from wsl.pipeline.scorers import BoxScorer, DetectionScorer, ImageLabelScorer, MaskScorer, Scorer
from wsl.pipeline.work import StageFiles
from wsl.progress import track
from wsl.types import Sample

log = logging.getLogger("wsl")

SCORES = Path("scores")


def score_run(context: Context, files: StageFiles) -> tuple[dict[str, int], list[Failure]]:
    """Writes scores/scores.json and scores.csv; returns how many images were scored, and those that could not be."""
    samples = finished(context, files)
    scorers = build_scorers(context)
    failures: list[Failure] = []
    for sample in track(samples, context.progress, "evaluate", len(samples)):
        try:
            _check_truth(sample, context)
            maps = files.read_maps(sample.image_id)
            for scorer in scorers:
                scorer.update(sample, maps, files)
        except DataError as error:
            failures.append(Failure(sample.image_id, str(error)))
    scores: list[Score] = [score for scorer in scorers for score in scorer.scores()]
    write_scores(context.run.path / SCORES, scores)
    return {"images": len(context.samples), "scored": len(samples) - len(failures)}, failures


def _check_truth(sample: Sample, context: Context) -> None:
    """Raises DataError before anything is counted, so that an image is in all scores or in none."""
    if context.data.has_masks:
        read_ground_truth(sample, read_image_size(sample.image_path), len(context.classes))


def finished(context: Context, files: StageFiles) -> list[Sample]:
    """The samples that went through all stages."""
    steps = (files.maps, files.boxes, files.seeds, files.refined)
    return [sample for sample in context.samples if all(step(sample.image_id).exists() for step in steps)]


def build_scorers(context: Context) -> list[Scorer]:
    """What can be scored with the ground truth that the data set has."""
    scorers: list[Scorer] = [ImageLabelScorer(context.classes, context.data.single_label)]
    if context.data.has_masks:
        refine = context.config.refine
        fixed = refine.background if refine.background_rule == "constant" else None
        scorers.append(MaskScorer(context.classes, context.config.evaluate, fixed))
    if context.data.has_boxes:
        scorers += [BoxScorer(context.classes), DetectionScorer(context.classes)]
    if len(scorers) == 1:
        log.warning("evaluate: the data set has no masks and no boxes, so only image-level labels are scored.")
    return scorers
