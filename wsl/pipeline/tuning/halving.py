"""Successive halving over images: many trials on few images, the best of them on all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from wsl.pipeline.tuning.space import Settings
from wsl.pipeline.tuning.trials import Outcome

KEEP = 3  # of so many trials one goes on to three times as many images
LEAST_IMAGES = 8
LEAST_KEPT = 4
Evaluate = Callable[[Sequence[Settings], int], list[Outcome]]  # trials, number of images -> outcomes in order


def list_rungs(images: int) -> list[int]:
    """Numbers of images from few to all, each about three times the one before, none below LEAST_IMAGES."""
    rungs = [images]
    while math.ceil(rungs[0] / KEEP) >= LEAST_IMAGES and len(rungs) < 4:
        rungs.insert(0, math.ceil(rungs[0] / KEEP))
    return rungs


def run_halving(trials: Sequence[Settings], images: int, evaluate: Evaluate) -> list[Outcome]:
    """Outcomes of the trials that reached all `images`, best first; trial 0 always does (Jamieson and Talwalkar 2016).

    Most settings are far from the best and a few images show it, so the images go to those that may win. With equal
    values the earlier trial wins, so the result depends on nothing but the outcomes.
    """
    alive = list(trials)
    for size in list_rungs(images):
        outcomes = evaluate(alive, size)
        ranked = rank_outcomes(outcomes)
        kept = max(math.ceil(len(ranked) / KEEP), min(LEAST_KEPT, len(ranked)))
        best = [outcome.settings for outcome in ranked[:kept]]
        alive = [each for number, each in enumerate(alive) if number == 0 or each in best]
    return ranked


def rank_outcomes(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Best first, the earlier of equal ones first; those without a value last."""
    return sorted(outcomes, key=lambda outcome: -math.inf if outcome.value is None else outcome.value, reverse=True)
