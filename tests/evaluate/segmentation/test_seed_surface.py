from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.segmentation.test_sweep import make_image
from tests.oracles.evaluate_seed_surface import surface_by_pair
from wsl.errors import ConfigError
from wsl.evaluate.segmentation.seed_surface import MEASURES, compute_seed_surface, seed_surface_score
from wsl.evaluate.segmentation.sweep import BackgroundSweep

VALUES = {"constant": [0.5, 0.0, 0.1, 0.3, 1.0, 0.3], "power": [1.0, 2.0, 0.5, 8.0]}


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 9),
    rule=st.sampled_from(["constant", "power"]),
    coarse=st.booleans(),
    absent=st.sampled_from(["skip", "zero", "ground_truth"]),
)
def test_agrees_with_seeds_made_for_every_pair(seed: int, rule: str, coarse: bool, absent: str) -> None:
    images = [make_image(seed + count, 3, count, coarse) for count in (0, 1, 2)]
    sweep = BackgroundSweep(3, VALUES[rule], rule)
    for image in images:
        sweep.update(*image)
    surface = compute_seed_surface(sweep, absent)
    for name, expected in surface_by_pair(images, 3, rule, VALUES[rule], absent).items():
        np.testing.assert_allclose(getattr(surface, name), expected, rtol=1e-12, err_msg=name)


def make_sweep() -> BackgroundSweep:
    """Scores .2 .4 | .6 .9 .9 in one row, the last two of the class."""
    sweep = BackgroundSweep(1, [0.1, 0.3, 0.7])
    truth = np.array([[0, 0, 0, 1, 1]], np.uint8)
    sweep.update(np.array([[[0.2, 0.4, 0.6, 0.9, 0.9]]], np.float32), [1], truth)
    return sweep


def test_hand_worked_surface() -> None:
    surface, nan = compute_seed_surface(make_sweep()), float("nan")
    np.testing.assert_allclose(surface.precision, [[2 / 5, 2 / 4, 1], [nan, 2 / 4, 1], [nan, nan, 1]])
    np.testing.assert_allclose(surface.coverage, [[1, 4 / 5, 2 / 5], [nan, 1, 3 / 5], [nan, nan, 1]])
    expected = [[(0 + 2 / 5) / 2, (0 + 2 / 4) / 2, 1], [nan, (1 / 3 + 2 / 4) / 2, 1], [nan, nan, 1]]
    np.testing.assert_allclose(surface.miou_excluded, expected)
    column = [(0 + 2 / 5) / 2, (1 / 3 + 2 / 4) / 2, 1]
    np.testing.assert_allclose(surface.miou_as_background, np.where(np.isnan(expected), nan, column))


def test_the_best_pair_is_an_oracle_with_a_table() -> None:
    surface = compute_seed_surface(make_sweep())
    best = seed_surface_score(surface)
    assert best.threshold == {"value": 0.7, "background": 0.1, "provenance": "oracle", "rule": "constant"}
    assert (best.value, best.name) == (1.0, "seed mIoU excluded")
    assert best.conventions["predicted 255"] == "exclude"
    assert list(best.curve) == ["background", "foreground", *MEASURES]
    assert best.curve["background"] == [0.1, 0.1, 0.1, 0.3, 0.3, 0.7]
    assert best.curve["foreground"] == [0.1, 0.3, 0.7, 0.3, 0.7, 0.7]
    assert best.curve["coverage"] == [1.0, 0.8, 0.4, 1.0, 0.6, 1.0]
    assert best.counts == {"threshold pairs": 6}
    limited = seed_surface_score(surface, smallest_coverage=0.5)
    assert (limited.threshold["background"], limited.value) == (0.3, 1.0)
    assert seed_surface_score(surface, "coverage").threshold["value"] == 0.1
    assert seed_surface_score(surface, "miou_as_background").conventions["predicted 255"] == "background"


def test_background_can_be_left_out() -> None:
    surface = compute_seed_surface(make_sweep(), background="exclude")
    assert surface.miou_excluded[0, 0] == 2 / 5
    assert seed_surface_score(surface).conventions["background"] == "left out of the mean"


def test_nothing_scored_is_undefined() -> None:
    score = seed_surface_score(compute_seed_surface(BackgroundSweep(2, [0.1, 0.2])))
    assert (score.value, score.threshold["value"]) == (None, None)


def test_unknown_choices_are_refused() -> None:
    surface = compute_seed_surface(make_sweep())
    with pytest.raises(ConfigError, match="measure: expected one of precision"):
        seed_surface_score(surface, "miou")
    with pytest.raises(ConfigError, match="smallest_coverage"):
        seed_surface_score(surface, smallest_coverage=2)
    with pytest.raises(ConfigError, match="background"):
        compute_seed_surface(make_sweep(), background="skip")
