"""Seeds under every pair of thresholds: how much they decide and how right they are, from one background sweep.

The two-threshold rule calls a pixel background where nothing exceeds the generous threshold, a class where one exceeds
the strict threshold, and 255 (not sure) between. Its confusion matrix is therefore put together from two matrices of
the sweep: the background column at the generous threshold, the class columns at the strict one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wsl.errors import ConfigError
from wsl.evaluate.result import Score, to_optional
from wsl.evaluate.segmentation.confusion import (
    BACKGROUND_POLICIES,
    Counts,
    Values,
    check_policy,
    compute_iou,
    compute_iou_of_counts,
    divide,
)
from wsl.evaluate.segmentation.scores import average_classes, describe_policies
from wsl.evaluate.segmentation.sweep import BackgroundSweep
from wsl.types import Mask

PROTOCOL = "seeds by two thresholds (IRN): one confusion matrix per pair, over all images"
MEASURES = ("precision", "coverage", "miou_excluded", "miou_as_background")


@dataclass(frozen=True)
class SeedSurface:
    """Measures of the seeds for each pair of `thresholds`, float64 (T, T), [background index, foreground index].

    NaN where the pair is not allowed (foreground more generous than background, see `check_two_thresholds`) or the
    measure is not defined. Pixels with ground truth 255 are in none.

    `precision`: share of the pixels decided for a class that are of it. `coverage`: share of the pixels that are
    decided, for a class or for background. `miou_excluded`: mIoU of the decided pixels alone. `miou_as_background`:
    mIoU with 255 turned into background, which makes it the mIoU of the foreground threshold alone.
    """

    thresholds: tuple[float, ...]
    rule: str
    absent: str
    background: str
    precision: Values
    coverage: Values
    miou_excluded: Values
    miou_as_background: Values


def compute_seed_surface(sweep: BackgroundSweep, absent: str = "skip", background: str = "include") -> SeedSurface:
    """The surface over the thresholds of a `sweep`; policies as in `segmentation_score`. Reads no pixel."""
    check_policy(background, BACKGROUND_POLICIES, "background")
    matrices, count = sweep.confusions(), len(sweep.thresholds)
    allowed = _find_allowed(sweep.thresholds, sweep.rule)
    foreground = [average_classes(compute_iou(matrix, absent), background) for matrix in matrices]
    as_background = np.array([np.nan if value is None else value for value in foreground], np.float64)

    def spread(row: Values) -> Values:
        return np.where(allowed, np.broadcast_to(row, (count, count)), np.nan)

    return SeedSurface(
        thresholds=tuple(sweep.thresholds),
        rule=sweep.rule,
        absent=absent,
        background=background,
        precision=spread(_compute_precisions(matrices)),
        coverage=np.where(allowed, _compute_coverages(matrices), np.nan),
        miou_excluded=np.where(allowed, _compute_decided_mious(matrices, absent, background), np.nan),
        miou_as_background=spread(as_background),
    )


def seed_surface_score(surface: SeedSurface, measure: str = "miou_excluded", smallest_coverage: float = 0.0) -> Score:
    """The pair of thresholds that is best on these very images by `measure` (oracle; the first on equal scores).

    Only pairs that decide at least `smallest_coverage` of the pixels compete: without a limit the best mIoU of decided
    pixels may be that of a handful. The curve is a table, one row per allowed pair. `threshold` holds the foreground
    value, and under "background" the other one.
    """
    check_policy(measure, MEASURES, "measure")
    if not 0 <= smallest_coverage <= 1:
        raise ConfigError(f"smallest_coverage: expected a share in [0, 1], but got {smallest_coverage}.")
    values = getattr(surface, measure)
    # without a scored pixel coverage is NaN, and so is every measure
    ranks = np.where((surface.coverage >= smallest_coverage) & ~np.isnan(values), values, -1.0)
    best = np.unravel_index(int(np.argmax(ranks)), ranks.shape)
    found = bool(ranks[best] >= 0)
    return Score(
        name=f"seed {measure.replace('_', ' ').replace('miou', 'mIoU')}",
        value=float(ranks[best]) if found else None,
        protocol=PROTOCOL,
        conventions=_describe(surface, measure, smallest_coverage),
        counts={"threshold pairs": int(_find_allowed(surface.thresholds, surface.rule).sum())},
        threshold=_describe_pair(surface, best if found else None),
        curve=_make_table(surface),
    )


def _find_allowed(thresholds: Sequence[float], rule: str) -> Mask:
    """bool (T, T), [background index, foreground index]: `check_two_thresholds` lets the pair pass."""
    values = np.array(thresholds)
    background, foreground = values[:, None], values[None, :]
    return foreground <= background if rule == "power" else foreground >= background


def _compute_precisions(matrices: Counts) -> Values:
    """float64 (T,): what is decided for a class depends on the foreground threshold alone."""
    hits = np.diagonal(matrices, axis1=1, axis2=2)[:, 1:].sum(axis=1)
    return divide(hits, matrices[:, :, 1:].sum(axis=(1, 2)))


def _compute_coverages(matrices: Counts) -> Values:
    decided = matrices[:, :, 0].sum(axis=1)[:, None] + matrices[:, :, 1:].sum(axis=(1, 2))[None, :]
    return divide(decided, np.full_like(decided, matrices[0].sum()))


def _compute_decided_mious(matrices: Counts, absent: str, background: str) -> Values:
    """float64 (T, T); one row of the surface at a time, so that memory stays at T x (N+1)."""
    hit = np.diagonal(matrices, axis1=1, axis2=2).copy()
    predicted = matrices.sum(axis=1)
    as_class = matrices[:, :, 1:].sum(axis=2)  # true class of the pixels decided for any class
    rows = []
    for matrix in matrices:
        hit[:, 0], predicted[:, 0] = matrix[0, 0], matrix[:, 0].sum()
        rows.append(_average_rows(compute_iou_of_counts(as_class + matrix[:, 0], predicted, hit, absent), background))
    return np.array(rows)


def _average_rows(iou: Values, background: str) -> Values:
    """Mean of each row over its defined classes, float64 (T,), NaN when there is none."""
    values = [average_classes(row, background) for row in iou]
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _make_table(surface: SeedSurface) -> dict[str, list[float | None]]:
    allowed = _find_allowed(surface.thresholds, surface.rule)
    table: dict[str, list[float | None]] = {
        name: [surface.thresholds[place] for place in places]
        for name, places in zip(("background", "foreground"), np.nonzero(allowed), strict=True)
    }
    return table | {name: [to_optional(value) for value in getattr(surface, name)[allowed]] for name in MEASURES}


def _describe(surface: SeedSurface, measure: str, smallest_coverage: float) -> dict[str, str]:
    treatment = "exclude" if measure == "miou_excluded" else "background"
    return describe_policies(surface.absent, treatment, surface.background) | {
        "smallest coverage": f"{smallest_coverage:g}",
        "background rule": surface.rule,
    }


def _describe_pair(surface: SeedSurface, best: tuple[np.intp, ...] | None) -> dict[str, Any]:
    background, foreground = (None, None) if best is None else (surface.thresholds[place] for place in best)
    return {"value": foreground, "background": background, "provenance": "oracle", "rule": surface.rule}
