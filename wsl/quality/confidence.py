"""One confidence in [0, 1] of several signals by a fixed rule, which was fitted to no masks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from wsl.quality.signals import ClassSignals, Evidence, Signals
from wsl.types import BACKGROUND, IGNORE

# Three ways in which a found object can agree with itself; levels of scores and probabilities are left out on purpose:
# what they mean changes from classifier to classifier (benchmarks/study_confidence.py).
RULE = ("flip_agreement", "scale_agreement", "refinement_agreement")


@dataclass(frozen=True)
class Judgement:
    """How much a class or a region of an image is to be trusted, `confidence` in [0, 1], and the signals behind it."""

    class_id: int
    confidence: float
    signals: Signals


@dataclass(frozen=True)
class ImageJudgement:
    """How much an image's label map is to be trusted.

    confidence: mean over `classes`, 1 where there are none. classes: those that the image is said to show and those
    that the label map has, ascending; one that the label map lacks has confidence 0. regions: the 8-connected regions
    of each of them in the order of export, those that are large enough.
    """

    image_id: str
    confidence: float
    classes: tuple[Judgement, ...]
    regions: tuple[Judgement, ...]


def compute_confidence(signals: Signals) -> float:
    """Geometric mean of the known signals of RULE and of sqrt(area), in [0, 1]; 0 without a region.

    sqrt(area) is the side of a region over that of the image: an edge that lies a given way off costs a small region
    more of its IoU. Where no signal of RULE is known nothing can be said: 0. A product and not a sum, because one bad
    sign is enough for a wrong mask. Chosen on the train split of magnetic_tile; no weight or constant was fitted.
    """
    known = [value for value in (getattr(signals, name) for name in RULE) if not math.isnan(value)]
    if not known or not signals.area or min(known) <= 0:
        return 0.0
    logs = [math.log(value) for value in known] + [math.log(signals.area) / 2]
    return min(1.0, math.exp(math.fsum(logs) / len(logs)))


def judge_image(evidence: Evidence, class_ids: Iterable[int] | None = None, min_pixels: int = 1) -> ImageJudgement:
    """Confidence of an image's label map, of its classes and of their regions.

    class_ids: what the image is said to show; None = the classes that have a map. min_pixels: smaller regions are not
    judged one by one; they stay a part of their class.
    """
    present = set(np.unique(evidence.label_map).tolist()) - {BACKGROUND, IGNORE}
    classes, regions = [], []
    for class_id in sorted(present.union(evidence.class_ids if class_ids is None else class_ids)):
        signals = ClassSignals(evidence, class_id)
        whole = signals.of_class()
        classes.append(Judgement(class_id, compute_confidence(whole), whole))
        regions += [Judgement(class_id, compute_confidence(each), each) for each in signals.of_regions(min_pixels)]
    mean = math.fsum(each.confidence for each in classes) / len(classes) if classes else 1.0
    return ImageJudgement(evidence.image_id, mean, tuple(classes), tuple(regions))
