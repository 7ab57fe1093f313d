from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.evaluate.certainty.tables_of_images import make_counts, make_curves, segmentation_table, sweep_table
from tests.oracles.evaluate_certainty import bca, class_ious, mean, percentile, repeat
from wsl.errors import ConfigError
from wsl.evaluate.certainty import resampling
from wsl.evaluate.certainty.bootstrap import Interval, bootstrap, bootstrap_classes
from wsl.evaluate.certainty.intervals import compute_acceleration, find_interval, shift_tails
from wsl.evaluate.certainty.resampling import Resampling, iterate_draws, iterate_omissions, iterate_swaps
from wsl.evaluate.certainty.value_table import ValueTable


def value_table(values: np.ndarray) -> ValueTable:
    count = len(values)
    ids = tuple(str(index) for index in range(count))
    return ValueTable(ids, np.arange(count), np.ones(count, np.int64), values)


def test_interval_is_that_of_copied_images() -> None:
    known = make_counts(np.random.default_rng(0), 8)
    table = segmentation_table(known, absent="zero")
    options = Resampling(40)

    def score(times: np.ndarray) -> float:
        return mean(class_ious(repeat(known, times), 3, "zero"))

    draws = np.concatenate(list(iterate_draws(8, options)))
    replicates = [score(times) for times in draws]
    left_out = [score(np.arange(8) != place) for place in range(8)]
    found = bootstrap(table, replicates=40)
    assert (found.low, found.high) == pytest.approx([percentile(replicates, 0.025), percentile(replicates, 0.975)])
    assert found.value == pytest.approx(score(np.ones(8)))
    accelerated = bootstrap(table, replicates=40, level=0.8, method="bca")
    assert (accelerated.low, accelerated.high) == pytest.approx(bca(found.value, replicates, left_out, 0.8))
    assert accelerated == Interval(found.value, accelerated.low, accelerated.high, 0.8, 40, "bca", 8, 0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), level=st.sampled_from([0.5, 0.9, 0.95]))
def test_bca_agrees_with_scipy_on_the_same_replicates(seed: int, level: float) -> None:
    generator = np.random.default_rng(seed)
    data = generator.gamma(1.0, size=20)
    options = Resampling(200, level, seed, "bca")
    replicates = np.concatenate(list(iterate_draws(20, options))) @ data / 20
    left_out = np.concatenate(list(iterate_omissions(20))) @ data / 19
    found = find_interval(float(data.mean()), replicates, left_out, 20, options)
    peer = stats.bootstrap(
        (data,), np.mean, n_resamples=0, confidence_level=level, method="BCa",
        bootstrap_result=SimpleNamespace(bootstrap_distribution=replicates),
    ).confidence_interval  # fmt: skip
    np.testing.assert_allclose(found, peer, rtol=1e-9)


def test_draws_are_with_replacement_and_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    options = Resampling(50, seed=3)
    whole = np.concatenate(list(iterate_draws(7, options)))
    swaps = np.concatenate(list(iterate_swaps(7, options)))
    monkeypatch.setattr(resampling, "_BLOCK", 3)
    assert len(list(iterate_draws(7, options))) == 17
    np.testing.assert_array_equal(np.concatenate(list(iterate_draws(7, options))), whole)
    np.testing.assert_array_equal(np.concatenate(list(iterate_swaps(7, options))), swaps)
    assert (whole.sum(axis=1) == 7).all()
    assert set(np.unique(swaps)) == {0.0, 1.0}
    other = np.concatenate(list(iterate_draws(7, Resampling(50, seed=4))))
    assert (other != whole).any()


def test_draws_have_the_moments_of_a_multinomial() -> None:
    draws = np.concatenate(list(iterate_draws(5, Resampling(4000))))
    np.testing.assert_allclose(draws.mean(axis=0), 1, atol=0.06)
    np.testing.assert_allclose(np.cov(draws.T), np.eye(5) - 0.2, atol=0.08)


def test_omissions_leave_out_every_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    np.testing.assert_array_equal(np.concatenate(list(iterate_omissions(4))), 1 - np.eye(4))
    monkeypatch.setattr(resampling, "OMISSIONS", 3)
    groups = np.concatenate(list(iterate_omissions(8)))
    assert groups.shape == (3, 8)
    np.testing.assert_array_equal((1 - groups).sum(axis=0), 1)
    np.testing.assert_array_equal((1 - groups).sum(axis=1), [3, 3, 2])


def test_acceleration_of_groups_is_near_that_of_single_images(monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.random.default_rng(0).gamma(0.5, size=3000)

    def accelerate() -> float:
        weights = np.concatenate(list(iterate_omissions(3000)))
        return compute_acceleration(weights @ data / weights.sum(axis=1))

    grouped = accelerate()
    monkeypatch.setattr(resampling, "OMISSIONS", 3000)
    assert grouped == pytest.approx(accelerate(), rel=0.3)


def test_every_class_has_its_interval() -> None:
    table = segmentation_table(make_counts(np.random.default_rng(1), 12))
    found = bootstrap_classes(table, replicates=60)
    assert list(found) == [0, 1, 2, 3]
    for class_id, interval in found.items():
        value = table.measure_classes(np.ones((1, 12)))[0, class_id]
        assert interval.value == value
        assert interval.low <= value <= interval.high


def test_a_threshold_chosen_anew_is_never_worse() -> None:
    known = make_counts(np.random.default_rng(2), 10, 4)
    kept, each = (bootstrap(sweep_table(known, threshold=name), replicates=50) for name in ("oracle", "oracle_each"))
    assert kept.value == each.value
    assert each.low >= kept.low
    assert each.high >= kept.high


@pytest.mark.parametrize("images", [1, 2])
def test_one_or_two_images_have_no_interval(images: int) -> None:
    for method in ("percentile", "bca"):
        found = bootstrap(value_table(np.linspace(0, 1, images)), replicates=20, method=method)
        assert (found.value is None, found.low, found.high) == (False, None, None)
    assert bootstrap(value_table(np.linspace(0, 1, 3)), replicates=20).low is not None


def test_a_class_of_one_image_has_no_interval() -> None:
    """Its IoU would be the same in every replicate that drew the image: an interval of width zero."""
    ids, rows = tuple("abcdefghij"), np.arange(10)
    classes = np.array([1, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    table = ValueTable(ids, rows, classes, np.linspace(0, 1, 10))
    found = bootstrap_classes(table, replicates=200)
    assert (found[1].value, found[1].low, found[1].high) == (0.0, None, None)
    assert 50 < found[1].undefined < 90  # 0.9^10 = 35 % of 200
    assert found[2].low is not None


def test_undefined_scores_have_no_interval() -> None:
    empty = np.zeros(0, np.int64)
    found = bootstrap(ValueTable(tuple("abcd"), empty, empty, np.zeros(0)), replicates=10)
    assert found == Interval(None, None, None, 0.95, 10, "percentile", 4, 10)


def test_equal_values_give_a_point() -> None:
    for method in ("percentile", "bca"):
        found = bootstrap(value_table(np.full(9, 0.25)), replicates=30, method=method)
        assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)


def test_ends_stay_in_order_beyond_the_pole_of_the_acceleration() -> None:
    tails = shift_tails(np.array([0.025, 0.975]), 0.9, np.linspace(0, 1, 50), np.array([0.0] * 2 + [1.0]))
    assert 0 <= tails[0] <= tails[1] <= 1
    extreme = shift_tails(np.array([1e-12, 1 - 1e-12]), 1.0, np.linspace(0, 1, 50), np.array([0.0, 1.0, 1.0, 1.0, 1.0]))
    assert 0 <= extreme[0] <= extreme[1] <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "percentil"}, "method: expected one of percentile, bca"),
        ({"replicates": 0}, "replicates of at least 1"),
        ({"seed": -1}, "seed of at least 0"),
        ({"level": 1.0}, r"level: expected a value in \(0, 1\)"),
    ],
)
def test_options_are_checked(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        bootstrap(value_table(np.zeros(3)), **options)


def test_a_box_curve_interval_holds_its_value() -> None:
    from tests.evaluate.certainty.tables_of_images import box_table

    for policy in ("oracle", "oracle_each"):
        found = bootstrap(box_table(make_curves(np.random.default_rng(8), 15), threshold=policy), replicates=80)
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_coverage_of_a_dataset_level_iou(method: str) -> None:
    """Of 400 samples of 60 images from one population, about 95 % have an interval that holds the true value."""
    generator = np.random.default_rng(11)
    true = generator.integers(50, 400, 20_000)
    hit = (true * generator.beta(3, 2, 20_000)).astype(np.int64)
    predicted = hit + generator.integers(0, 150, 20_000)
    wanted = hit.sum() / (true + predicted - hit).sum()
    covered = 0
    for sample in range(400):
        chosen = generator.integers(0, 20_000, 60)
        known = [{1: (true[one], predicted[one], hit[one])} for one in chosen]
        table = segmentation_table(known, background="exclude")
        found = bootstrap(table, replicates=500, seed=sample, method=method)
        covered += found.low <= wanted <= found.high
    assert 0.91 <= covered / 400 <= 0.98
