"""One image to its label map: a label rule says for which backgrounds it is refined, and joins what comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wsl.refine.refiner import RefineInput, Refiner
from wsl.seeds.labels import label_of_evidence
from wsl.seeds.rules import Cleaning, LabelRule, decide_labels
from wsl.types import LabelMap


def refine_labels(inputs: RefineInput, refiner: Refiner, rule: LabelRule, cleaning: Cleaning) -> LabelMap:
    """Label map uint8 (H, W), 255 = not sure: the image refined once for each background of the rule.

    All label sets of the image go to the refiner together, so that a dense CRF builds its lattice once.
    """
    evidences = refiner.refine_all(list_views(inputs, rule, keep_seeds=refiner.keeps_cues))
    return decide_labels(evidences, inputs.class_ids, rule, cleaning)


def list_views(inputs: RefineInput, rule: LabelRule, *, keep_seeds: bool) -> list[RefineInput]:
    """`inputs` with each background of the rule; as it is when the rule has none of its own.

    The seeds of a view are its own labels, without 255 (IRN's dense CRF sees labels, not scores), unless `keep_seeds`.
    """
    backgrounds = rule.backgrounds(inputs.scores)
    return [_with_background(inputs, plane, keep_seeds) for plane in backgrounds] or [inputs]


def _with_background(inputs: RefineInput, background: NDArray[np.float32], keep_seeds: bool) -> RefineInput:
    labels = inputs.seeds if keep_seeds else label_of_evidence(background, inputs.scores, inputs.class_ids)
    return replace(inputs, background=background, seeds=labels)
