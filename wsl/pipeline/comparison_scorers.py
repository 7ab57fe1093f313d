"""What is measured of one CAM method's maps in a comparison: each scorer takes one image after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.config import Config
from wsl.evaluate.faithfulness.means import PairMeans
from wsl.evaluate.faithfulness.measure import PROTOCOL as FAITHFULNESS
from wsl.evaluate.faithfulness.measure import FaithfulnessSettings, measure_faithfulness
from wsl.evaluate.faithfulness.pointing import compute_energy, compute_hit
from wsl.evaluate.faithfulness.randomisation import compare_maps
from wsl.evaluate.localization.given_boxes import CorLoc
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.evaluate.result import Score
from wsl.evaluate.segmentation.confusion import Confusion
from wsl.evaluate.segmentation.scores import segmentation_score
from wsl.evaluate.segmentation.sweep import BackgroundSweep
from wsl.localize.boxes import boxes_of
from wsl.pipeline.comparison_cases import Case, ClassPredictor
from wsl.pipeline.label_maker import build_label_maker
from wsl.types import ClassSet, ScoreMaps, Scores

MakeMaps = Callable[[Case, tuple[int, ...]], ScoreMaps]  # the case, and the classes wanted


class CaseScorer(Protocol):
    """Takes images with their score maps, gives scores."""

    def update(self, case: Case, maps: ScoreMaps) -> None:
        """Adds one image."""
        ...

    def scores(self) -> list[Score]:
        """The scores of all images added so far."""
        ...


class LocalizationScorer:
    """MaxBoxAccV2 at its best threshold, and CorLoc of the boxes of the configured rule."""

    def __init__(self, classes: ClassSet, config: Config) -> None:
        settings = config.boxes
        self.classes, self.from_maps, self.corloc = classes, MaxBoxAcc(), CorLoc()
        self.options: dict[str, Any] = {"rule": settings.rule, "threshold": settings.threshold}
        self.options |= {"select": settings.select, "min_area": settings.min_area}

    def update(self, case: Case, maps: ScoreMaps) -> None:
        # Classes that the classifier does not know have no map by any method: they are left out for all.
        truth = [box for box in case.boxes or () if box.class_id in maps.class_ids]
        self.corloc.update(boxes_of(maps, **self.options), truth)
        for class_id in sorted({box.class_id for box in truth}):
            row = maps.class_ids.index(class_id)
            boxes = [box for box in truth if box.class_id == class_id]
            self.from_maps.update(maps.scores[row], boxes, name=case.sample.image_id)

    def scores(self) -> list[Score]:
        named = {score.name: score for score in self.from_maps.scores(self.classes)}
        return [named["MaxBoxAccV2"], self.corloc.score(self.classes)]


class PointingScorer:
    """Pointing game and energy pointing game on masks, or on boxes where there are no masks; means over classes."""

    def __init__(self, classes: ClassSet, tolerance: float) -> None:
        self.classes, self.tolerance = classes, tolerance
        self.means = PairMeans(f"pointing game with a tolerance of {tolerance:g} pixels; energy inside", mean="classes")

    def update(self, case: Case, maps: ScoreMaps) -> None:
        for class_id, score_map in zip(maps.class_ids, maps.scores, strict=True):
            objects = case.object_mask(class_id)
            if objects is not None:
                hit = compute_hit(score_map, *objects, tolerance=self.tolerance)
                self.means.update(class_id, {"pointing": hit, "energy": compute_energy(score_map, *objects)})

    def scores(self) -> list[Score]:
        return self.means.scores(self.classes)


class FaithfulnessScorer:
    """Average drop, increase, insertion, deletion and ROAD of one class per image, at the classifier's own square."""

    def __init__(self, classes: ClassSet, predictor: ClassPredictor, settings: FaithfulnessSettings) -> None:
        self.classes, self.predictor, self.settings = classes, predictor, settings
        self.means = PairMeans(FAITHFULNESS)

    def update(self, case: Case, maps: ScoreMaps) -> None:
        image = self.predictor.to_square(case.image)
        score_map = to_square(maps.scores[maps.class_ids.index(case.focus)], self.predictor.side)
        values = measure_faithfulness(self.predictor.of_class(case.focus), image, score_map, self.settings)
        self.means.update(case.focus, values)

    def scores(self) -> list[Score]:
        return self.means.scores(self.classes)


class RandomisationScorer:
    """How like the maps are to those of the same network with a random head, and with random parameters throughout.

    makers: by part of the network, what makes its maps. limit: images that are looked at.
    """

    def __init__(self, classes: ClassSet, makers: Mapping[str, MakeMaps], side: int, limit: int) -> None:
        self.classes, self.makers, self.side, self.limit = classes, makers, side, limit
        self.means = PairMeans("similarity to the maps of a network with random parameters")
        self.seen = 0

    def update(self, case: Case, maps: ScoreMaps) -> None:
        if self.seen >= self.limit:
            return
        self.seen += 1
        before = to_square(maps.scores[maps.class_ids.index(case.focus)], self.side)
        for part, make in self.makers.items():
            after = to_square(make(case, (case.focus,)).scores[0], self.side)
            found = compare_maps(before, after)
            self.means.update(case.focus, {f"{name}, {part}": value for name, value in found.items()})

    def scores(self) -> list[Score]:
        return self.means.scores(self.classes)


class SweepScorer:
    """mIoU of the maps at the threshold that is best on these images."""

    def __init__(self, classes: ClassSet, config: Config) -> None:
        self.classes, self.absent = classes, config.evaluate.absent
        steps = config.evaluate.sweep_steps
        self.sweep = BackgroundSweep(len(classes), np.arange(steps) / steps)

    def update(self, case: Case, maps: ScoreMaps) -> None:
        if case.truth is not None:
            self.sweep.update(maps.scores, maps.class_ids, case.truth, case.sample.image_id)

    def scores(self) -> list[Score]:
        return [replace(self.sweep.best(self.classes, self.absent), name="CAM mIoU")]

    @property
    def threshold(self) -> float:
        """The best threshold."""
        (score,) = self.scores()
        return float((score.threshold or {})["value"])


class RefinedScorer:
    """mIoU after the configured refinement, of maps calibrated so that one background score is right for all methods.

    Methods differ in scale: the best threshold of one is 0.2, of another 0.8. Each method's scores are stretched so
    that its own best threshold becomes the configured `refine.background`, see `calibrate`; seeds and refinement are
    then those of the configuration.
    """

    def __init__(self, classes: ClassSet, config: Config, threshold: float) -> None:
        self.classes, self.config, self.threshold = classes, config, threshold
        self.maker = build_label_maker(config, classes)
        # a power rule has no one background score: there the maps stay, and their threshold is the background
        self.background = config.refine.background if config.refine.background_rule == "constant" else threshold
        self.confusion = Confusion(len(classes), config.evaluate.predicted_ignore)

    def update(self, case: Case, maps: ScoreMaps) -> None:
        if case.truth is None:
            return
        scores = calibrate(maps.scores, self.threshold, self.background)
        maker = replace(self.maker, background_rule="constant", background=self.background)
        prediction = maker(case.image, scores, maps.class_ids, bands=maker.read_bands(case.sample.image_path))
        self.confusion.update(case.truth, prediction, case.sample.image_id)

    def scores(self) -> list[Score]:
        threshold = {"value": self.threshold, "provenance": "oracle", "rule": "constant"}
        score = segmentation_score(
            self.confusion, self.classes, self.config.evaluate.absent, name="refined mIoU", threshold=threshold
        )
        return [replace(score, conventions=score.conventions | {"refinement": str(self.config.refine.method)})]


def calibrate(scores: Scores, threshold: float, background: float) -> Scores:
    """Scores (K, H, W) in [0, 1], stretched in two straight pieces: 0, `threshold`, 1 become 0, `background`, 1."""
    below = scores * np.float32(background / threshold if threshold > 0 else 0)
    above = np.float32(1) - (1 - scores) * np.float32((1 - background) / (1 - threshold) if threshold < 1 else 0)
    return np.where(scores > np.float32(threshold), above, below).astype(np.float32)


def to_square(score_map: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A map (H, W) in [0, 1] as float32 (side, side): pixel areas when shrinking, bilinear otherwise, as its image."""
    shrinks = side <= min(score_map.shape)
    flag = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.clip(cv2.resize(score_map, (side, side), interpolation=flag), 0, 1).astype(np.float32)
