from __future__ import annotations

import numpy as np
import pytest

from tests.evaluate.certainty.tables_of_images import NUM_CLASSES, segmentation_table
from tests.evaluate.certainty.test_paired import make_other
from tests.oracles.evaluate_certainty import class_ious, holm, mean
from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.paired import paired_class_tests, paired_test
from wsl.evaluate.certainty.run_difference import compare_tables
from wsl.evaluate.certainty.spread import spread
from wsl.evaluate.certainty.value_table import ValueTable

IMAGES = 10


def make_images(seed: int) -> list[dict]:
    truth = [{c: (4 + c, 0, 0) for c in range(NUM_CLASSES + 1)} for _ in range(IMAGES)]
    return make_other(truth, seed)


def make_run(seed: int) -> dict:
    generator = np.random.default_rng(seed)
    rows = np.arange(IMAGES)
    ids = tuple(f"image {index}" for index in range(IMAGES))
    hits = ValueTable(ids, rows, 1 + rows % 2, generator.integers(0, 2, IMAGES))
    return {"mIoU": segmentation_table(make_images(seed)), "hits": hits}


def test_rows_of_two_runs_are_the_paired_tests() -> None:
    first, second = make_run(0), make_run(1)
    rows = compare_tables([("a", first), ("b", second)], replicates=60)
    assert [(row.score, row.class_id, row.run) for row in rows] == [
        (score, class_id, run)
        for score, classes in (("mIoU", (None, 0, 1, 2, 3)), ("hits", (None, 1, 2)))
        for class_id in classes
        for run in "ab"
    ]
    for score in first:
        whole = paired_test(first[score], second[score], replicates=60)
        by_class = paired_class_tests(first[score], second[score], replicates=60)
        for row in (row for row in rows if row.score == score):
            if row.run == "a":
                assert (row.difference, row.significant) == (None, None)
                continue
            wanted = whole if row.class_id is None else by_class[row.class_id]
            assert row.value == wanted.second
            assert (row.difference.p_value, row.difference.low) == (wanted.p_value, wanted.low)
            assert row.significant == (row.difference.corrected_p <= 0.05)
            if row.class_id is not None:
                assert row.difference == wanted


def test_the_correction_goes_over_all_tests_of_the_whole() -> None:
    runs = [(name, make_run(seed)) for seed, name in enumerate("abc")]
    rows = [row for row in compare_tables(runs, replicates=60, classes=False) if row.difference]
    assert [(row.score, row.run) for row in rows] == [("mIoU", "b"), ("mIoU", "c"), ("hits", "b"), ("hits", "c")]
    p_values = [row.difference.p_value for row in rows]
    assert [row.difference.corrected_p for row in rows] == pytest.approx(holm(p_values))


def test_runs_of_one_name_are_seeds() -> None:
    runs = [("base", make_run(0)), ("new", make_run(1)), ("base", make_run(2)), ("new", make_run(3))]
    rows = {(row.score, row.class_id, row.run): row for row in compare_tables(runs, replicates=80)}
    values = {seed: mean(class_ious(make_images(seed), NUM_CLASSES, "skip")) for seed in range(4)}
    base, new = rows["mIoU", None, "base"], rows["mIoU", None, "new"]
    assert base.value == pytest.approx((values[0] + values[2]) / 2)
    assert new.seeds.std == pytest.approx(spread([values[1], values[3]]).std)
    assert new.difference.test == "bootstrap"
    assert new.difference.difference == pytest.approx(new.value - base.value)
    assert new.difference.low <= new.difference.difference <= new.difference.high
    of_class = rows["mIoU", 2, "base"]
    ious = [class_ious(make_images(seed), NUM_CLASSES, "skip")[2] for seed in (0, 2)]
    assert of_class.value == pytest.approx(mean(ious))
    assert of_class.seeds == spread(ious)


def test_all_runs_are_compared_on_the_images_of_all() -> None:
    runs = [(name, make_run(seed)) for seed, name in enumerate("abc")]
    runs[2][1]["mIoU"] = runs[2][1]["mIoU"].select(np.array([0, 2, 3, 7]))
    with pytest.raises(DataError, match="mIoU: Expected the same images"):
        compare_tables(runs)
    rows = compare_tables(runs, images="common", replicates=20, classes=False)
    for row, (_, tables) in zip(rows, runs, strict=False):
        part = tables["mIoU"] if row.run == "c" else tables["mIoU"].select(np.array([0, 2, 3, 7]))
        assert row.value == part.measure(np.ones((1, 4)))[0]


def test_scores_that_not_all_runs_have_are_left_out() -> None:
    first, second = make_run(0), make_run(1)
    del second["hits"]
    rows = compare_tables([("a", first), ("b", second)], replicates=10, classes=False)
    assert {row.score for row in rows} == {"mIoU"}
    with pytest.raises(ConfigError, match="no score in common: hits; mIoU"):
        compare_tables([("a", {"hits": first["hits"]}), ("b", second)])
    with pytest.raises(ConfigError, match="two or more runs of different names"):
        compare_tables([("a", first), ("a", second)])
