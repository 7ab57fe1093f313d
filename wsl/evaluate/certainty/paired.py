"""Is one run better than another on the same images? The interval of the difference, and a test.

Both runs are weighted alike in every replicate, so what makes an image hard for both cancels out.

The p-value comes from swapping (Fisher's randomisation test, two-sided): were the runs equally good, it would not
matter which of the two did what to an image, so each image's rows change sides with probability 1/2 and the share of
such worlds with a difference at least as large is p. Swapping needs rows that mean the same in both runs: pixel counts,
hits and values of images do; with a threshold in play they do at each run's own threshold, chosen on all images
beforehand and kept. It is not possible where the score ranks something over all images (PxAP, VOC AP): scores of two
methods have different scales. There p is the share of bootstrap replicates whose distance from the observed difference
is at least as large as that difference (the bootstrap distribution moved to zero), which is right for many images only.

The smallest p that R replicates can give is 1 / (R + 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wsl.evaluate.certainty.bootstrap import Measure, Replicates, draw_replicates
from wsl.evaluate.certainty.holm import correct_holm
from wsl.evaluate.certainty.intervals import find_interval
from wsl.evaluate.certainty.pairing import align
from wsl.evaluate.certainty.resampling import Resampling, iterate_swaps, replicate
from wsl.evaluate.certainty.tables import Exchangeable, Measured, Values
from wsl.evaluate.result import to_optional

_ROUNDING = 1e-12  # differences of means that are equal but for rounding are equal


@dataclass(frozen=True)
class PairedDifference:
    """`second` minus `first`, with its interval and its two-sided p-value; None where undefined.

    `test` is "swap" or "bootstrap", see the module. `corrected_p` is Holm's, None outside a family of tests.
    """

    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    level: float
    replicates: int
    images: int
    test: str
    corrected_p: float | None = None


def paired_test(
    first: Measured,
    second: Measured,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    method: str = "percentile",
    images: str = "same",
) -> PairedDifference:
    """Difference of the scores of two tables of one kind, `second` minus `first`.

    `images` "same" wants the same images in both (in any order), "common" takes those that both have. DataError when
    images or ground truth differ, ConfigError when the settings do (but for `threshold`, which each run has its own).
    """
    one, other = align([first, second], images)
    return _test(one, other, Resampling(replicates, level, seed, method), whole=True)[0]


def paired_class_tests(
    first: Measured,
    second: Measured,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    method: str = "percentile",
    images: str = "same",
) -> dict[int, PairedDifference]:
    """The same for each class, by class id; `corrected_p` is over all classes (Holm)."""
    one, other = align([first, second], images)
    found = _test(one, other, Resampling(replicates, level, seed, method), whole=False)
    return dict(zip(one.class_ids, correct_family(found), strict=True))


def correct_family(tests: Sequence[PairedDifference]) -> list[PairedDifference]:
    """The tests with `corrected_p` over all of them."""
    corrected = correct_holm([test.p_value for test in tests])
    return [replace(test, corrected_p=value) for test, value in zip(tests, corrected, strict=True)]


def _test(first: Measured, second: Measured, resampling: Resampling, whole: bool) -> list[PairedDifference]:
    images = len(first.image_ids)
    mine, theirs = (_measure_of(table, whole) for table in (first, second))
    values = np.concatenate([measure(np.ones((1, images))) for measure in (mine, theirs)])
    found = draw_replicates(lambda weights: theirs(weights) - mine(weights), images, resampling)
    swapped = _swap(first, second, resampling, whole)
    worlds, test = (found.drawn - found.values, "bootstrap") if swapped is None else (swapped, "swap")
    return [_describe(values[:, k], found, worlds[:, k], k, test, images, resampling) for k in range(values.shape[1])]


def _measure_of(table: Measured, whole: bool) -> Measure:
    return (lambda weights: table.measure(weights)[:, None]) if whole else table.measure_classes


def _swap(first: Measured, second: Measured, resampling: Resampling, whole: bool) -> Values | None:
    """Differences (R, K) of worlds in which images changed sides; None where they cannot."""
    left, right = first.for_swapping(), second.for_swapping()
    if left is None or right is None:
        return None
    images = len(first.image_ids)
    totals = [table.sums(np.ones((1, images))) for table in (left, right)]

    def compute_difference(swaps: Values) -> Values:
        moved = right.sums(swaps) - left.sums(swaps)
        sides = _measure_sums(left, totals[0] + moved, whole), _measure_sums(right, totals[1] - moved, whole)
        return sides[1] - sides[0]

    return replicate(compute_difference, iterate_swaps(images, resampling))


def _measure_sums(table: Exchangeable, sums: Values, whole: bool) -> Values:
    return table.measure_sums(sums)[:, None] if whole else table.measure_class_sums(sums)


def _describe(
    values: Values, found: Replicates, worlds: Values, column: int, test: str, images: int, resampling: Resampling
) -> PairedDifference:
    difference = float(found.values[column])
    left_out = None if found.left_out is None else found.left_out[:, column]
    low, high = find_interval(difference, found.drawn[:, column], left_out, images, resampling)
    # bootstrap worlds in which a class of one or two images is left out say nothing of it, as they give no interval
    undecided = np.isnan(difference) or (test == "bootstrap" and low is None)
    p_value = None if undecided else compute_p_value(difference, worlds)
    first, second = (to_optional(value) for value in values)
    return PairedDifference(
        first,
        second,
        to_optional(difference),
        low,
        high,
        p_value,
        resampling.level,
        resampling.replicates,
        images,
        test,
    )


def compute_p_value(difference: float, worlds: Values) -> float:
    """(1 + worlds with a difference at least as large) / (1 + worlds), two-sided; undefined worlds are left out."""
    defined = worlds[~np.isnan(worlds)]
    as_large = int((np.abs(defined) >= abs(difference) - _ROUNDING).sum())
    return (1 + as_large) / (1 + len(defined))
