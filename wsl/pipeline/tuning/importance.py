"""Which settings mattered: how far the objective moves with each, over trials on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from wsl.pipeline.tuning.space import show_value
from wsl.pipeline.tuning.trials import Outcome

BINS = 4
LEAST_TRIALS = 4


@dataclass(frozen=True)
class Importance:
    """One setting. `span`: largest minus smallest mean objective of its bins, in the objective's own units.

    `share`: of the variance between trials what the bins explain, corrected for their number (epsilon squared, Kelley
    1935), at least 0. `bins`: (label, mean objective, trials). `points`: (value or place of a choice, objective).
    """

    key: str
    span: float
    share: float
    bins: tuple[tuple[str, float, int], ...]
    points: tuple[tuple[float, float], ...]


def compute_importance(outcomes: Sequence[Outcome]) -> list[Importance]:
    """Every setting that takes two values or more in at least 4 trials with a value, the widest span first.

    Numbers with more than four values are cut into four quantile bins; other values are a bin each. Bins of trials
    that chose different refiners mix, so an option of one refiner is judged on its own trials only.
    """
    rated = [outcome for outcome in outcomes if outcome.value is not None]
    keys = dict.fromkeys(key for outcome in rated for key in outcome.settings)
    found = [_rate(key, [outcome for outcome in rated if key in outcome.settings]) for key in keys]
    return sorted((each for each in found if each is not None), key=lambda each: -each.span)


def _rate(key: str, outcomes: Sequence[Outcome]) -> Importance | None:
    values = [outcome.settings[key] for outcome in outcomes]
    goals = np.array([outcome.value for outcome in outcomes], np.float64)
    labels, places, points = _cut(values)
    used = np.unique(places)
    if len(goals) < LEAST_TRIALS or len(used) < 2:
        return None
    groups = [goals[places == place] for place in used]
    means = [float(group.mean()) for group in groups]
    within, total = sum(float(((group - group.mean()) ** 2).sum()) for group in groups), float(goals.var() * len(goals))
    spare = len(goals) - len(groups)
    share = 1 - (within / spare) / (total / (len(goals) - 1)) if spare and total > 0 else 0.0
    bins = tuple(
        (labels[place], mean, len(group)) for place, mean, group in zip(used.tolist(), means, groups, strict=True)
    )
    return Importance(
        key, max(means) - min(means), max(0.0, share), bins, tuple(zip(points, goals.tolist(), strict=True))
    )


def _cut(values: Sequence[Any]) -> tuple[list[str], np.ndarray[Any, Any], list[float]]:
    """(label of each bin, bin of each value, where each value is drawn)."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    different = sorted(set(values)) if numeric else list(dict.fromkeys(values))
    if not numeric or len(different) <= BINS:
        places = [different.index(value) for value in values]
        return [show_value(value) for value in different], np.array(places), [float(place) for place in places]
    numbers = np.array(values, np.float64)
    edges = np.quantile(numbers, np.arange(1, BINS) / BINS)
    ends = [float(numbers.min()), *edges.tolist(), float(numbers.max())]
    labels = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(ends)]
    return labels, np.searchsorted(edges, numbers, side="right"), numbers.tolist()
