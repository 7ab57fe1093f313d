from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.evaluate_sweep import confusions_by_threshold
from wsl.errors import ConfigError, DataError
from wsl.evaluate.segmentation.sweep import BackgroundSweep, find_critical_scores
from wsl.seeds.labels import label_from_scores

VALUES = {"constant": [0.5, 0.0, 0.1, 0.3, 1.0, 0.3], "power": [1.0, 2.0, 0.5, 8.0, 24.0]}


def make_image(seed: int, num_classes: int, count: int, coarse: bool) -> tuple[np.ndarray, list[int], np.ndarray]:
    """Coarse scores are multiples of float32 0.1, so that they tie with thresholds and with each other."""
    generator = np.random.default_rng(seed)
    height, width = generator.integers(1, 9, 2)
    scores = generator.random((count, height, width)).astype(np.float32)
    if coarse:
        scores = (generator.integers(0, 11, scores.shape) / 10).astype(np.float32)
    class_ids = sorted(generator.permutation(np.arange(1, num_classes + 1))[:count].tolist(), reverse=bool(seed % 2))
    truth = generator.choice(np.array([*range(num_classes + 1), 255], np.uint8), (height, width))
    return scores, class_ids, truth


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 9),
    num_classes=st.sampled_from([3, 5]),
    rule=st.sampled_from(["constant", "power"]),
    coarse=st.booleans(),
    compiled=st.booleans(),
)
def test_agrees_with_one_argmax_per_threshold(
    seed: int, num_classes: int, rule: str, coarse: bool, compiled: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WSL_COMPILED", str(int(compiled)))
        check_against_one_argmax_per_threshold(seed, num_classes, rule, coarse)


def check_against_one_argmax_per_threshold(seed: int, num_classes: int, rule: str, coarse: bool) -> None:
    images = [make_image(seed + count, num_classes, count, coarse) for count in (0, 1, 2, 3)]
    sweep = BackgroundSweep(num_classes, VALUES[rule], rule)
    for scores, class_ids, truth in images:
        sweep.update(scores, class_ids, truth)
    expected = confusions_by_threshold(images, num_classes, rule, VALUES[rule])
    assert sweep.confusions().dtype == np.int64
    np.testing.assert_array_equal(sweep.confusions(), expected)


@pytest.mark.parametrize("rule", ["constant", "power"])
def test_ties_fall_as_in_the_label_rule(rule: str) -> None:
    critical = find_critical_scores(rule, VALUES[rule])
    for value, score in zip(VALUES[rule], critical, strict=True):
        above = np.nextafter(score, np.float32(2), dtype=np.float32)
        pixels = np.array([[[score, above]]], np.float32)
        assert label_from_scores(pixels, [1], rule, value).tolist() == [[0, 1]]


def test_best_is_marked_as_oracle_and_carries_the_curve() -> None:
    sweep = BackgroundSweep(1, [0.1, 0.5, 0.6, 0.95])
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    sweep.update(np.array([[[0.2, 0.4, 0.7, 0.9]]], np.float32), [1], truth)
    best = sweep.best()
    assert best.threshold == {"value": 0.5, "provenance": "oracle", "rule": "constant"}
    assert best.value == 1.0
    assert best.curve == {"threshold": [0.1, 0.5, 0.6, 0.95], "miou": [0.25, 1.0, 1.0, 0.25]}
    assert best.counts["images"] == 1
    fixed = sweep.at(0.1, "val")
    assert (fixed.value, fixed.threshold["provenance"]) == (0.25, "val")


def test_images_without_classes_are_background_everywhere() -> None:
    sweep = BackgroundSweep(2, [0.0, 0.5])
    sweep.update(np.zeros((0, 1, 3), np.float32), [], np.array([[0, 2, 255]], np.uint8))
    for matrix in sweep.confusions():
        assert matrix.tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_halves_add_up() -> None:
    images = [make_image(seed, 4, 2, True) for seed in range(4)]
    whole, left, right = (BackgroundSweep(4, [0.2, 0.4]) for _ in range(3))
    for index, image in enumerate(images):
        whole.update(*image)
        (left if index % 2 else right).update(*image)
    left.merge(right)
    np.testing.assert_array_equal(left.confusions(), whole.confusions())
    assert left.best() == whole.best()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": np.full((1, 2, 2), np.nan, np.float32)}, "img: scores: expected finite"),
        ({"scores": np.zeros((1, 2, 3), np.float32)}, "img: score map is 2x3 but ground truth is 2x2"),
        ({"class_ids": [3]}, r"ids in 1\.\.2, but got \(3,\)"),
        ({"class_ids": [1, 2]}, "class_ids"),
        ({"truth": np.full((2, 2), 9, np.uint8)}, "but found 9"),
    ],
)
def test_input_that_does_not_fit_is_refused(change: dict, message: str) -> None:
    arguments = {"scores": np.zeros((1, 2, 2), np.float32), "class_ids": [1], "truth": np.zeros((2, 2), np.uint8)}
    scores, class_ids, truth = (arguments | change).values()
    with pytest.raises(DataError, match=message):
        BackgroundSweep(2, [0.5]).update(scores, class_ids, truth, "img")


def test_thresholds_must_be_known() -> None:
    sweep = BackgroundSweep(2, [0.25, 0.5])
    with pytest.raises(DataError, match=r"0\.3 was not swept; expected one of 0\.25, 0\.5"):
        sweep.at(0.3, "fixed")
    with pytest.raises(ConfigError, match="at least one"):
        BackgroundSweep(2, [])
    with pytest.raises(ConfigError, match="joined"):
        sweep.merge(BackgroundSweep(2, [0.25]))
    with pytest.raises(ConfigError, match="constnat"):
        BackgroundSweep(2, [0.5], "constnat")


@pytest.mark.parametrize("compiled", ["0", "1"])
@pytest.mark.parametrize("rule", ["constant", "power"])
def test_image_rows_add_up_to_the_confusions(rule: str, compiled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSL_COMPILED", compiled)
    sweep = BackgroundSweep(4, VALUES[rule], rule, keep_images=True)
    images = {f"image {9 - seed}": make_image(seed, 4, seed % 4, True) for seed in range(8)}
    for name, image in images.items():
        sweep.update(*image, name)
    curves, matrices = sweep.image_curves(), sweep.confusions()
    assert curves.image_ids == tuple(sorted(images))
    assert curves.thresholds == tuple(VALUES[rule])
    assert (curves.predicted.dtype, curves.hit.dtype, curves.true.dtype) == (np.int32, np.int32, np.int64)
    for class_id in range(5):
        rows = curves.row_class == class_id
        np.testing.assert_array_equal(curves.predicted[rows].sum(axis=0), matrices.sum(axis=1)[:, class_id])
        np.testing.assert_array_equal(curves.hit[rows].sum(axis=0), matrices[:, class_id, class_id])
        assert curves.true[rows].sum() == matrices[0].sum(axis=1)[class_id]
    assert (curves.row_class == 0).sum() == len(images)


def test_image_rows_are_those_of_the_image_alone() -> None:
    images = {f"image {seed}": make_image(seed, 4, seed % 4, True) for seed in range(6)}
    sweep = BackgroundSweep(4, VALUES["constant"], keep_images=True)
    for name, image in images.items():
        sweep.update(*image, name)
    curves = sweep.image_curves()
    for index, name in enumerate(curves.image_ids):
        expected = confusions_by_threshold([images[name]], 4, "constant", VALUES["constant"])
        rows = curves.row_image == index
        assert set(curves.row_class[rows]) >= {0, *images[name][1], *np.flatnonzero(expected[0].sum(axis=1))}
        for class_id, true, predicted, hit in zip(
            curves.row_class[rows], curves.true[rows], curves.predicted[rows], curves.hit[rows], strict=True
        ):
            assert true == expected[0, class_id].sum()
            np.testing.assert_array_equal(predicted, expected[:, :, class_id].sum(axis=1))
            np.testing.assert_array_equal(hit, expected[:, class_id, class_id])


def test_image_rows_of_halves_join() -> None:
    images = {f"image {seed}": make_image(seed, 4, 2, True) for seed in range(5)}
    whole, left, right = (BackgroundSweep(4, [0.2, 0.4], keep_images=True) for _ in range(3))
    for index, (name, image) in enumerate(images.items()):
        whole.update(*image, name)
        (left if index % 2 else right).update(*image, name)
    left = pickle.loads(pickle.dumps(left))  # noqa: S301
    left.merge(right)
    for joined, expected in zip(
        dataclasses.astuple(left.image_curves()), dataclasses.astuple(whole.image_curves()), strict=True
    ):
        np.testing.assert_array_equal(joined, expected)
    with pytest.raises(DataError, match="image 'image 0': expected a different name"):
        left.merge(right)
    with pytest.raises(DataError, match="image 'image 1'"):
        whole.update(*images["image 1"], "image 1")
    with pytest.raises(ConfigError, match="keep_images=True"):
        BackgroundSweep(4, [0.2]).image_curves()
    with pytest.raises(ConfigError, match="joined"):
        whole.merge(BackgroundSweep(4, [0.2, 0.4]))
    assert BackgroundSweep(4, [0.2, 0.4], keep_images=True).image_curves().predicted.shape == (0, 2)


def test_background_can_be_left_out_of_the_mean() -> None:
    sweep = BackgroundSweep(1, [0.1, 0.5])
    sweep.update(np.array([[[0.2, 0.4, 0.7, 0.9]]], np.float32), [1], np.array([[0, 0, 1, 1]], np.uint8))
    assert sweep.curve(background="exclude") == [0.5, 1.0]
    assert sweep.best(background="exclude").conventions["background"] == "left out of the mean"
    assert sweep.at(0.1, "fixed", background="exclude").value == 0.5
