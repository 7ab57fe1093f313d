"""Every label-free rule against its definition, and what a choice is."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import seeds_label_free as oracle
from wsl.errors import ConfigError, DataError
from wsl.seeds.label_free import DEFAULT_RULE, LABEL_FREE_RULES, LabelFree
from wsl.seeds.label_free.area_prior import find_salient
from wsl.seeds.label_free.lab import to_lab

THRESHOLDS = [0.0, 0.1, 0.3, 0.5, 0.7, 0.95]
Case = tuple[np.ndarray, np.ndarray, list[np.ndarray]]


def make_image(seed: int) -> Case:
    """(scores (K, H, W), image, views): small, with ties at thresholds and now and then no contrast at all."""
    generator = np.random.default_rng(seed)
    height, width, count = generator.integers(1, 9), generator.integers(1, 9), generator.integers(1, 3)
    scores = (generator.integers(0, 11, (count, height, width)) / 10).astype(np.float32)
    image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if seed % 5 == 0:
        image[:] = 90
    views = [(generator.integers(0, 11, scores.shape) / 10).astype(np.float32) for _ in range(3)]
    return scores, image, views


def masks_of(score_map: np.ndarray) -> list[np.ndarray]:
    return [score_map > np.float32(threshold) for threshold in THRESHOLDS]


def expected_otsu(cases: list[Case]) -> list[float]:
    pooled = [level for scores, _, _ in cases for row in oracle.levels_of(scores.max(0), THRESHOLDS) for level in row]
    return [oracle.otsu_variance(pooled, index) for index in range(len(THRESHOLDS))]


def expected_otsu_per_image(cases: list[Case]) -> list[float]:
    total = np.zeros(len(THRESHOLDS))
    for scores, _, _ in cases:
        levels = [level for row in oracle.levels_of(scores.max(0), THRESHOLDS) for level in row]
        variance = oracle.total_variance(levels)
        total += [oracle.otsu_variance(levels, index) / (variance or 1) for index in range(len(THRESHOLDS))]
    return list(total / len(cases))


def expected_colour_contrast(cases: list[Case]) -> list[float]:
    rows = [[oracle.explained_colour(to_lab(image), mask) for mask in masks_of(s.max(0))] for s, image, _ in cases]
    return list(np.mean(rows, axis=0))


def expected_normalised_cut(cases: list[Case]) -> list[float]:
    rows = [[-oracle.normalised_cut(to_lab(image), mask) for mask in masks_of(s.max(0))] for s, image, _ in cases]
    return list(np.mean(rows, axis=0))


def expected_scale_agreement(cases: list[Case]) -> list[float]:
    rows = []
    for scores, _, views in cases:
        pairs = [(a[row], b[row]) for row in range(len(scores)) for a, b in combinations(views, 2)]
        cuts = [np.float32(threshold) for threshold in THRESHOLDS]
        rows.append([np.mean([oracle.excess_overlap(a > cut, b > cut) for a, b in pairs]) for cut in cuts])
    return list(np.mean(rows, axis=0))


def expected_area_prior(cases: list[Case]) -> list[float]:
    prior = np.mean([find_salient(to_lab(image)).mean() for _, image, _ in cases])
    shares = np.mean([[mask.mean() for mask in masks_of(scores.max(0))] for scores, _, _ in cases], axis=0)
    return list(-np.abs(shares - prior))


EXPECTED = {
    "otsu": expected_otsu,
    "otsu_per_image": expected_otsu_per_image,
    "colour_contrast": expected_colour_contrast,
    "normalised_cut": expected_normalised_cut,
    "scale_agreement": expected_scale_agreement,
    "area_prior": expected_area_prior,
}


def test_every_rule_is_tested() -> None:
    assert sorted(EXPECTED) == LABEL_FREE_RULES.names()
    assert DEFAULT_RULE in EXPECTED


@pytest.mark.parametrize("rule", sorted(EXPECTED))
@settings(max_examples=15, deadline=None)
@given(seeds=st.lists(st.integers(0, 10_000), min_size=1, max_size=4))
def test_ratings_are_those_of_the_definition(rule: str, seeds: list[int]) -> None:
    cases = [make_image(seed) for seed in seeds]
    label_free = LabelFree(THRESHOLDS, [rule])
    for case in cases:
        label_free.update(*case)
    choice = label_free.choose(rule)
    np.testing.assert_allclose(choice.ratings, EXPECTED[rule](cases), atol=2e-5)
    assert choice.threshold == pytest.approx(THRESHOLDS[int(np.argmax(choice.ratings))])


def test_halves_add_up_and_images_without_classes_say_nothing() -> None:
    names = LABEL_FREE_RULES.names()
    whole, left, right = (LabelFree(THRESHOLDS, names) for _ in range(3))
    for seed in range(6):
        whole.update(*make_image(seed))
        (left if seed % 2 else right).update(*make_image(seed))
    empty = np.zeros((0, 4, 5), np.float32)
    whole.update(empty, np.zeros((4, 5, 3), np.uint8), [empty, empty])
    right.merge(left)
    assert right.images == whole.images == 6
    for name in names:
        np.testing.assert_allclose(right.choose(name).ratings, whole.choose(name).ratings, atol=1e-8)


def test_normalised_cut_finds_the_edge_of_an_object() -> None:
    """A map that falls off slowly over a dark disc on bright ground: only the disc's own edge is cheap to cut."""
    rows, columns = np.mgrid[:60, :60]
    distance = np.hypot(rows - 30, columns - 30)
    image = np.where(distance[..., None] < 15, np.uint8(30), np.uint8(220)) * np.ones(3, np.uint8)
    score_map = (1 - distance / distance.max()).astype(np.float32)
    label_free = LabelFree(np.arange(100) / 100, ["normalised_cut", "colour_contrast"])
    label_free.update(score_map[None], image)
    edge = 1 - 15 / distance.max()
    assert label_free.choose("normalised_cut").threshold == pytest.approx(edge, abs=0.02)
    assert label_free.choose("colour_contrast").threshold == pytest.approx(edge, abs=0.02)


def test_area_prior_sees_what_differs_from_the_border() -> None:
    image = np.full((40, 50, 3), 200, np.uint8)
    image[10:30, 15:35] = (200, 30, 30)
    assert find_salient(to_lab(image)).mean() == pytest.approx(0.2, abs=0.05)
    assert not find_salient(to_lab(np.full((40, 50, 3), 7, np.uint8))).any()


@pytest.mark.parametrize(
    ("rules", "arguments", "message"),
    [
        (["normalised_cut"], {}, "a.jpg: the rule 'normalised_cut' needs the image itself"),
        (["scale_agreement"], {"views": [np.zeros((1, 2, 2), np.float32)]}, "at least 2 scales, but got 1"),
        (["otsu"], {"image": np.zeros((2, 3, 3), np.uint8)}, "image is 2x3 but scores is 2x2"),
        (["otsu"], {"views": [np.zeros((2, 2, 2), np.float32)]}, "expected views of shape"),
        (["otsu"], {"scores": np.full((1, 2, 2), np.inf, np.float32)}, "a.jpg: scores: expected finite"),
    ],
)
def test_input_that_does_not_fit_is_refused(rules: list[str], arguments: dict, message: str) -> None:
    given = {"scores": np.zeros((1, 2, 2), np.float32), **arguments}
    with pytest.raises(DataError, match=message):
        LabelFree([0.5], rules).update(**given, name="a.jpg")


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean: otsu"):
        LabelFree([0.5], ["otsuu"])
    with pytest.raises(ConfigError, match="ascending"):
        LabelFree([0.5, 0.4])
    with pytest.raises(ConfigError, match="joined"):
        LabelFree([0.5], ["otsu"]).merge(LabelFree([0.4], ["otsu"]))
    with pytest.raises(DataError, match="at least one image"):
        LabelFree([0.5], ["otsu"]).choose("otsu")
