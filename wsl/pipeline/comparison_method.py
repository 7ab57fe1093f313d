"""One CAM method on all images of a comparison: its maps, their time, and everything that is measured of them."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from wsl.cam.engine import compute_pyramids
from wsl.cam.groups import Groups
from wsl.cam.options import CamOptions
from wsl.cam.preset import Preset
from wsl.cam.pyramid import MapPyramid, fuse
from wsl.cam.store import SUFFIX, read_score_maps, write_pyramid
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

    @property
    def preset(self) -> Preset:
        """How raw maps become scores, with the method's own way to fuse layers."""
        return self.options.build_method().fit_preset(self.options.preset)

    def fuse(self, pyramid: MapPyramid) -> ScoreMaps:
        """The pyramid by the preset; DataError where the maps are not finite."""
        maps = fuse(pyramid, self.preset)
        check_scores(maps.scores, f"{pyramid.image_id}, maps of {self.options.method}")
        return maps


class MethodRun:
    """Two passes over the images: all measures of the maps, then the refinement with the threshold found in the first.

    makers: by part of the network, what makes the maps of the classifier with random parameters. scratch: a folder that
    holds the raw maps between the passes, so that memory does not grow with the images; it is gone afterwards.
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
        scratch: Path,
    ) -> None:
        self.context, self.cases, self.maker, self.scratch = context, cases, maker, scratch
        classes, config = context.classes, context.config
        self.sweep = SweepScorer(classes, config) if context.data.has_masks else None
        self.scorers: list[CaseScorer] = [] if self.sweep is None else [self.sweep]
        if context.data.has_boxes or context.data.has_masks:
            self.scorers += [LocalizationScorer(classes, config), PointingScorer(classes, tolerance)]
        self.scorers.append(FaithfulnessScorer(classes, predictor, faithfulness))
        self.scorers.append(RandomisationScorer(classes, random_makers, predictor.side, randomised_images))

    def measure(self) -> tuple[float, list[Score]]:
        """(median milliseconds from a decoded image to its score maps, all scores)."""
        with _fresh_folder(self.scratch):
            times = self._first_pass()
            scores = [score for scorer in self.scorers for score in scorer.scores()]
            return statistics.median(times), [*scores, *self._second_pass()]

    def _first_pass(self) -> list[float]:
        title = f"compare {self.maker.options.method}"
        times: list[float] = []
        for case in track(self.cases, self.context.progress, title, len(self.cases)):
            if not times:
                self.maker(case, case.class_ids)  # first calls choose algorithms and fill caches
            began = time.perf_counter()
            pyramid = self.maker.make_pyramid(case, case.class_ids)
            maps = self.maker.fuse(pyramid)
            times.append(1000 * (time.perf_counter() - began))
            if self.sweep is not None:
                write_pyramid(self._file(case), pyramid, self.maker.preset)
            for scorer in self.scorers:
                scorer.update(case, maps)
        return times

    def _second_pass(self) -> list[Score]:
        if self.sweep is None:
            return []
        scorer = RefinedScorer(self.context.classes, self.context.config, self.sweep.threshold)
        for case in self.cases:
            scorer.update(case, read_score_maps(self._file(case), case.sample.image_id))
        return scorer.scores()

    def _file(self, case: Case) -> Path:
        """Raw maps of a case until the second pass."""
        return self.scratch / f"{case.sample.image_id}{SUFFIX}"


@contextmanager
def _fresh_folder(folder: Path) -> Iterator[None]:
    """An empty folder, without what a killed process left there, that is deleted at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
