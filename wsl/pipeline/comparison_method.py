"""One CAM method on all images of a comparison: its maps, their time, and everything that is measured of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from wsl.cam.engine import compute_pyramids
from wsl.cam.groups import Groups
from wsl.cam.options import CamOptions
from wsl.cam.pyramid import MapPyramid, fuse
from wsl.checks import check_scores
from wsl.evaluate.faithfulness.measure import FaithfulnessSettings
from wsl.evaluate.result import Score
from wsl.models.classifier import Classifier
from wsl.pipeline.comparison_cases import Case, Cases, ClassPredictor
from wsl.pipeline.comparison_scorers import (
    CaseScorer,
    FaithfulnessScorer,
    LocalizationScorer,
    PointingScorer,
    RandomisationScorer,
    RefinedScorer,
    SweepScorer,
)
from wsl.pipeline.context import Context
from wsl.progress import track
from wsl.types import ScoreMaps


@dataclass(frozen=True)
class MapMaker:
    """Maps of one method by one classifier, which is ready for use on its device."""

    model: Classifier
    groups: Groups
    options: CamOptions
    device: torch.device

    def __call__(self, case: Case, class_ids: tuple[int, ...]) -> ScoreMaps:
        """Scores (K, H, W) in the image's own pixels."""
        return self.fuse(self.make_pyramid(case, class_ids))

    def make_pyramid(self, case: Case, class_ids: tuple[int, ...]) -> MapPyramid:
        """Raw maps at the network's resolution."""
        ids = [case.sample.image_id]
        (pyramid,) = compute_pyramids(
            self.model, [case.image], ids, [class_ids], self.groups, self.options, self.device
        )
        return pyramid

    def fuse(self, pyramid: MapPyramid) -> ScoreMaps:
        """The pyramid by the preset; DataError where the maps are not finite."""
        maps = fuse(pyramid, self.options.build_method().fit_preset(self.options.preset))
        check_scores(maps.scores, f"{pyramid.image_id}, maps of {self.options.method}")
        return maps


class MethodRun:
    """Two passes over the images: all measures of the maps, then the refinement with the threshold found in the first.

    makers: by part of the network, what makes the maps of the classifier with random parameters.
    """

    def __init__(
        self,
        context: Context,
        cases: Cases,
        maker: MapMaker,
        random_makers: Mapping[str, MapMaker],
        predictor: ClassPredictor,
        *,
        faithfulness: FaithfulnessSettings,
        tolerance: float,
        randomised_images: int,
    ) -> None:
        self.context, self.cases, self.maker = context, cases, maker
        classes, config = context.classes, context.config
        self.sweep = SweepScorer(classes, config) if context.data.has_masks else None
        self.scorers: list[CaseScorer] = [] if self.sweep is None else [self.sweep]
        if context.data.has_boxes or context.data.has_masks:
            self.scorers += [LocalizationScorer(classes, config), PointingScorer(classes, tolerance)]
        self.scorers.append(FaithfulnessScorer(classes, predictor, faithfulness))
        self.scorers.append(RandomisationScorer(classes, random_makers, predictor.side, randomised_images))

    def measure(self) -> tuple[float, list[Score]]:
        """(median milliseconds from a decoded image to its score maps, all scores)."""
        pyramids, times = self._first_pass()
        scores = [score for scorer in self.scorers for score in scorer.scores()]
        return statistics.median(times), [*scores, *self._second_pass(pyramids)]

    def _first_pass(self) -> tuple[list[MapPyramid], list[float]]:
        title = f"compare {self.maker.options.method}"
        pyramids: list[MapPyramid] = []  # small beside full-size maps, so they are kept for the second pass
        times: list[float] = []
        for case in track(self.cases, self.context.progress, title, len(self.cases)):
            if not times:
                self.maker(case, case.class_ids)  # first calls choose algorithms and fill caches
            began = time.perf_counter()
            pyramids.append(self.maker.make_pyramid(case, case.class_ids))
            maps = self.maker.fuse(pyramids[-1])
            times.append(1000 * (time.perf_counter() - began))
            for scorer in self.scorers:
                scorer.update(case, maps)
        return pyramids, times

    def _second_pass(self, pyramids: list[MapPyramid]) -> list[Score]:
        if self.sweep is None:
            return []
        scorer = RefinedScorer(self.context.classes, self.context.config, self.sweep.threshold)
        for case, pyramid in zip(self.cases, pyramids, strict=True):
            scorer.update(case, self.maker.fuse(pyramid))
        return scorer.scores()
