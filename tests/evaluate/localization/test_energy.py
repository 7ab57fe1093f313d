"""Energy shares against literal regions, hand-worked maps, and the rule of the verdict."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.evaluate_energy import regions_of_pixel
from wsl.errors import DataError
from wsl.evaluate.localization.energy import (
    BORDER,
    MIXED,
    OBJECT,
    ON_BACKGROUND,
    ON_OBJECT,
    OTHERS,
    REGIONS,
    REST,
    SURROUNDINGS,
    UNDECIDED,
    EnergyShares,
    compute_energy_shares,
    judge_energy,
    mean_shares,
    split_regions,
)


def square(size: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(size, np.bool_)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize("seed", range(6))
def test_regions_equal_a_literal_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = (23, 41)
    masks = [np.zeros(size, np.bool_) for _ in range(3)]
    for mask in (*masks, masks[0]):
        top, left = rng.integers(0, 18), rng.integers(0, 30)
        mask[top : top + rng.integers(1, 20), left : left + rng.integers(1, 25)] = True
    target, others, ignore = masks
    regions = split_regions(target, others, ignore)
    for row, column in np.ndindex(size):
        expected = regions_of_pixel(row, column, target, others, ignore)
        value = regions[row, column]
        assert ("ignored" if value == 255 else REGIONS[value]) in expected, (row, column)


def test_surroundings_reach_a_tenth_of_the_diagonal() -> None:
    target = square((100, 100), slice(40, 70), slice(30, 70))  # 30 x 40, diagonal 50, reach 5
    regions = split_regions(target)
    assert (regions[50, 65:80] == [OBJECT] * 5 + [SURROUNDINGS] * 5 + [REST] * 5).all()
    assert (regions[0:5] == BORDER).all()
    assert (regions[5, 5:95] == REST).all()


def test_objects_come_before_border_and_other_objects_before_surroundings() -> None:
    target = square((40, 40), slice(0, 20), slice(0, 20))
    others = square((40, 40), slice(0, 20), slice(15, 25))
    regions = split_regions(target, others)
    assert regions[0, 0] == regions[10, 17] == OBJECT
    assert regions[10, 20] == OTHERS
    assert regions[20, 10] == SURROUNDINGS
    assert regions[20, 0] == SURROUNDINGS
    assert regions[30, 0] == BORDER


def test_shares_of_a_hand_worked_map() -> None:
    regions = np.array([[OBJECT, SURROUNDINGS, OTHERS], [BORDER, REST, 255]], np.uint8)
    score_map = np.array([[4.0, 2.0, 1.0], [1.0, -7.0, 100.0]], np.float32)
    shares = compute_energy_shares(score_map, regions)
    assert shares is not None
    assert shares.energy == (0.5, 0.25, 0.125, 0.125, 0.0)
    assert shares.area == (0.2,) * 5
    assert shares.lift == pytest.approx((2.5, 1.25, 0.625, 0.625, 0.0))
    assert shares.contrast == pytest.approx(4.0)  # 4 on the object, (2 + 1 + 1 + 0) / 4 off it


@pytest.mark.parametrize("side", [4, 16, 30])
def test_uniform_map_prefers_nothing_however_large_the_object(side: int) -> None:
    regions = split_regions(square((32, 32), slice(0, side), slice(1, side + 1)))
    shares = compute_energy_shares(np.full((32, 32), 0.3, np.float32), regions)
    assert shares is not None
    assert [lift for lift in shares.lift if lift is not None] == pytest.approx([1.0] * sum(a > 0 for a in shares.area))
    assert shares.contrast == pytest.approx(1.0)
    assert judge_energy(shares) == ON_BACKGROUND


def test_sums_do_not_lose_small_scores() -> None:
    score_map = np.full((1500, 1500), 0.1, np.float32)
    score_map[0, 0] = 2**24  # in float32 nothing would be added to it
    shares = compute_energy_shares(score_map, split_regions(square((1500, 1500), slice(0, 1), slice(0, 1))))
    assert shares is not None
    rest = 1 - shares.energy[OBJECT]
    assert rest == pytest.approx(float(np.float32(0.1)) * (1500**2 - 1) / (2**24 + 225000), rel=1e-3)


def test_map_without_a_positive_score_has_no_shares() -> None:
    regions = split_regions(square((8, 8), slice(2, 4), slice(2, 4)))
    assert compute_energy_shares(np.zeros((8, 8), np.float32), regions) is None
    assert compute_energy_shares(np.full((8, 8), -1.0, np.float32), regions) is None


def test_mean_gives_every_image_the_same_weight() -> None:
    first, second = (
        EnergyShares((1, 0, 0, 0, 0), (0.5, 0, 0, 0, 0.5)),
        EnergyShares((0, 0, 0, 0, 1), (0.1, 0, 0, 0, 0.9)),
    )
    assert mean_shares([first, second]) == EnergyShares((0.5, 0, 0, 0, 0.5), (0.3, 0, 0, 0, 0.7))
    assert mean_shares([]) is None


@pytest.mark.parametrize(
    ("energy", "area", "verdict"),
    [
        ((0.20, 0.10, 0, 0.1, 0.60), (0.2, 0.1, 0, 0.1, 0.6), ON_BACKGROUND),  # uniform
        ((0.23, 0.10, 0, 0.1, 0.57), (0.2, 0.1, 0, 0.1, 0.6), ON_BACKGROUND),  # contrast 1.19
        ((0.25, 0.10, 0, 0.1, 0.55), (0.2, 0.1, 0, 0.1, 0.6), MIXED),  # contrast 1.33
        ((0.40, 0.20, 0, 0.1, 0.30), (0.2, 0.1, 0, 0.1, 0.6), ON_OBJECT),  # contrast 2.67, 0.6 near
        ((0.10, 0.10, 0, 0.1, 0.70), (0.01, 0.02, 0, 0.1, 0.87), MIXED),  # contrast 11, but only 0.2 near
        ((1.00, 0.00, 0, 0.0, 0.00), (0.2, 0.1, 0, 0.1, 0.6), ON_OBJECT),
        ((1.00, 0.00, 0, 0.0, 0.00), (1.0, 0.0, 0, 0.0, 0.0), UNDECIDED),  # a box around everything
        ((0.00, 0.00, 0, 0.1, 0.90), (0.0, 0.0, 0, 0.1, 0.9), UNDECIDED),
    ],
)
def test_verdict(energy: tuple[float, ...], area: tuple[float, ...], verdict: str) -> None:
    assert judge_energy(EnergyShares(energy, area)) == verdict


def test_bad_inputs() -> None:
    regions = split_regions(square((8, 8), slice(2, 4), slice(2, 4)))
    with pytest.raises(DataError, match=r"score map is 8x9 but regions is 8x8"):
        compute_energy_shares(np.ones((8, 9), np.float32), regions)
    with pytest.raises(DataError, match=r"finite scores, but 64 are not"):
        compute_energy_shares(np.full((8, 8), np.nan, np.float32), regions)
    with pytest.raises(DataError, match=r"expected bool \(H, W\), but got uint8 \(8, 8\)"):
        split_regions(np.zeros((8, 8), np.uint8))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"target is 8x8 but others is 4x4"):
        split_regions(np.zeros((8, 8), np.bool_), np.zeros((4, 4), np.bool_))
