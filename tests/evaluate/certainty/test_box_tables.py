from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.certainty.tables_of_images import COLUMNS, box_table, make_curves, make_ids, rows_of
from tests.oracles.evaluate_certainty import best_column, box_share, mean, repeat
from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.box_curve_table import BoxCurveTable
from wsl.evaluate.certainty.grouped_sums import count_hits, weigh_rows
from wsl.evaluate.certainty.pair_table import PairTable
from wsl.evaluate.certainty.tables import index_images
from wsl.evaluate.certainty.value_table import ValueTable
from wsl.evaluate.localization.given_boxes import BoxAccuracy, CorLoc, find_class_overlaps
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.types import Box

LIMITS = (0.3, 0.5, 0.7)


def version_of(images: list[dict], version: int) -> list[dict]:
    return [{c: curve[version - 1] for c, curve in image.items()} for image in images]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), images=st.integers(1, 6), version=st.sampled_from([1, 2]))
def test_max_box_acc_of_copied_images(seed: int, images: int, version: int) -> None:
    generator = np.random.default_rng(seed)
    known = make_curves(generator, images)
    weights = generator.integers(0, 3, (4, images))
    policies = {
        name: box_table(known, version=version, threshold=name) for name in ("oracle", "oracle_each", "fixed:0.4")
    }
    curves = version_of(known, version)
    on_whole = [best_column([box_share(curves, d, column) for column in range(COLUMNS)]) for d in LIMITS]
    for row, times in enumerate(weights):
        copies = repeat(curves, times)
        each = [best_column([box_share(copies, d, column) for column in range(COLUMNS)]) for d in LIMITS]
        for name, columns in (("oracle", on_whole), ("oracle_each", each), ("fixed:0.4", [2, 2, 2])):
            table = policies[name]
            wanted = mean([box_share(copies, d, column) for d, column in zip(LIMITS, columns, strict=True)])
            np.testing.assert_allclose(table.measure(weights)[row], wanted, rtol=1e-14)
            for place, class_id in enumerate(table.class_ids):
                shares = [box_share(copies, d, column, class_id) for d, column in zip(LIMITS, columns, strict=True)]
                np.testing.assert_allclose(table.measure_classes(weights)[row, place], mean(shares), rtol=1e-14)


def test_sums_of_hits_are_exact_for_all_weights() -> None:
    hits = np.array([[True, False], [True, True]])
    for weights in ([[0.25, 0.5]], [[2.0**24, 1.0]], [[2.0**24 + 1, 0.0]], [[3.0, 5.0]]):  # 2^24 + 1 is no float32
        rows = weigh_rows(np.array(weights), np.array([0, 1]))
        np.testing.assert_array_equal(count_hits(rows, hits), np.array(weights) @ hits)


@pytest.mark.parametrize("policy", ["oracle", "oracle_each", "fixed:0.1"])
def test_no_pair_has_no_score(policy: str) -> None:
    table = box_table([{}, {}], threshold=policy)
    assert np.isnan(table.measure([[1, 1]])).all()
    assert table.measure_classes([[1, 1]]).shape == (1, 0)


def test_value_is_that_of_the_accumulator_at_thresholds_that_share_a_level() -> None:
    generator = np.random.default_rng(4)
    accumulator = MaxBoxAcc(thresholds=np.arange(0, 1, 0.001), keep_curves=True)
    for index in range(5):
        truth = [Box((1.0, 2.0, 6.0, 7.0), 1 + index % 2)]
        accumulator.update(generator.random((9, 8)), truth, name=f"image {index // 2}")
    curves = accumulator.curves()
    image_ids, row_image = index_images(curves.image_ids)
    every = np.ones((1, len(image_ids)))
    for policy, scores in (("oracle", accumulator.scores()), ("fixed:0.303", accumulator.at(0.303))):
        by_name = {score.name[-len("V1@0.5") :]: score for score in scores}
        for version, wanted in ((1, by_name["V1@0.5"]), (2, by_name["V2@0.5"])):
            table = BoxCurveTable(
                image_ids, row_image, curves.class_ids, curves.best, curves.thresholds, (0.5,), version, policy
            )
            assert table.measure(every)[0] == wanted.value
            shares = [row["accuracy"] for row in wanted.per_class.values()]
            assert table.measure_classes(every)[0].tolist() == shares


def box(x: float, class_id: int, score: float = 1.0) -> Box:
    return Box((x, 0.0, x + 10.0, 10.0), class_id, score)


def make_overlaps(seed: int, images: int) -> tuple[list[list[Box]], list[list[Box]]]:
    generator = np.random.default_rng(seed)

    def draw(count: int) -> list[Box]:
        return [
            box(float(generator.integers(0, 8)), int(generator.integers(1, 4)), generator.random())
            for _ in range(count)
        ]

    return [draw(4) for _ in range(images)], [draw(2) for _ in range(images)]


def test_agrees_with_corloc_and_box_accuracy_on_every_weighting() -> None:
    predicted, truth = make_overlaps(1, 6)
    found = [find_class_overlaps(p, t) for p, t in zip(predicted, truth, strict=True)]
    places, classes, known = rows_of(found)
    top, best = np.array(known, float).T
    for weights in np.random.default_rng(2).integers(0, 3, (5, 6)):
        corloc, accuracy = CorLoc(), BoxAccuracy()
        for p, t, times in zip(predicted, truth, weights, strict=True):
            for _ in range(times):
                corloc.update(p, t)
                accuracy.update(p, t)
        table = PairTable(make_ids(6), places, classes, top, best)
        assert table.measure(weights[None])[0] == pytest.approx(corloc.score().value, rel=1e-14)
        values = {score.name: score.value for score in accuracy.scores()}
        for kind in ("top", "any"):
            pairs = PairTable(make_ids(6), places, classes, top, best, LIMITS, kind, ">=", "pairs")
            assert pairs.measure(weights[None])[0] == pytest.approx(values[f"BoxAcc {kind}"], rel=1e-14)


def test_values_are_averaged_over_pairs_or_classes() -> None:
    rows = np.array([0, 0, 1]), np.array([1, 2, 1])
    pairs = ValueTable(("a", "b"), *rows, np.array([0.0, 1.0, 1.0]))
    assert pairs.measure([[1, 1], [0, 3], [0, 0]]).tolist()[:2] == [2 / 3, 1.0]
    assert np.isnan(pairs.measure([[0, 0]])[0])
    by_class = ValueTable(("a", "b"), *rows, np.array([0, 2, 2]), "classes", out_of=2)
    assert by_class.measure([[1, 1]]).tolist() == [0.75]
    np.testing.assert_array_equal(by_class.measure_classes([[0, 1]]), [[1.0, np.nan]])


def test_images_without_a_row_are_images() -> None:
    assert index_images(["b", "a", "b"], ["a", "c"])[0] == ("a", "c", "b")
    assert index_images(["b", "a", "b"], ["a", "c"])[1].tolist() == [2, 0, 2]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"version": 3}, ConfigError, "version: expected 1 or 2"),
        ({"iou_thresholds": ()}, ConfigError, "iou_thresholds: expected different values"),
        ({"threshold": "fixed:0.05"}, DataError, "not in the table; expected at least 0.1"),
    ],
)
def test_settings_are_checked(settings: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        box_table(make_curves(np.random.default_rng(0), 3), **settings)


def test_overlaps_that_are_none_are_refused() -> None:
    one = np.array([0])
    for value in (np.nan, 1.5, -0.1):
        with pytest.raises(DataError, match=r"top: expected floating values in \[0, 1\]"):
            PairTable(("a",), one, one, np.array([value]), np.array([0.5]))
    with pytest.raises(DataError, match="finite numbers"):
        ValueTable(("a",), one, one, np.array([np.nan]))
