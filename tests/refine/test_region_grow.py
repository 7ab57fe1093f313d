from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.oracles import refine_grow
from wsl.errors import ConfigError
from wsl.refine.refiner import RefineInput, build_refiner, label_map_of
from wsl.refine.region_grow import compute_probabilities, grow_regions


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.int64, (5, 6), elements=st.sampled_from([-1, -1, -1, 0, 1, 2])),
    arrays(np.int64, (5, 6), elements=st.integers(0, 2)),
    arrays(np.float32, (5, 6), elements=st.sampled_from([0.5, 0.85, 0.9, 0.99, 1.0]).map(np.float32)),
)
def test_against_the_oracle(seeds: np.ndarray, best: np.ndarray, value: np.ndarray) -> None:
    probabilities = np.where(best == np.arange(3)[:, None, None], value, (1 - value) / 2).astype(np.float32)
    grown = grow_regions(seeds, probabilities, 0.85, 0.99)
    np.testing.assert_array_equal(grown, refine_grow.grow(seeds, probabilities, 0.85, 0.99))
    assert (grown[seeds >= 0] == seeds[seeds >= 0]).all()


def row_input(seeds: list[int], scores: list[float], background: float = 0.1) -> RefineInput:
    plane = np.array([[scores]], np.float32)
    image = np.zeros((1, len(scores), 3), np.uint8)
    return RefineInput(
        image, plane, np.array([seeds], np.uint8), (7,), np.full((1, len(scores)), background, np.float32)
    )


def test_grows_to_touching_confident_pixels_only() -> None:
    # shares of class 7: .909 .909 .5 .909; the last is confident but not joined to a seed.
    inputs = row_input([7, 255, 255, 255], [1.0, 1.0, 0.1, 1.0])
    evidence = build_refiner("region_grow", probabilities="scores", rest="background")(inputs)
    assert evidence[:, 0].tolist() == [[0, 0, 1, 1], [1, 1, 0, 0]]
    evidence = build_refiner("region_grow", probabilities="scores", rest="scores")(inputs)
    np.testing.assert_allclose(evidence[:, 0], [[0, 0, 0.1, 0.1], [1, 1, 0.1, 1]])
    assert label_map_of(evidence, (7,)).tolist() == [[7, 7, 0, 7]]


def test_background_needs_its_own_threshold() -> None:
    # background share is 1 where the class is 0, and .91 (below .99) where it is .01
    inputs = row_input([0, 255, 255], [0.0, 0.0, 0.01])
    grown = build_refiner("region_grow", probabilities="scores", rest="scores")(inputs)
    np.testing.assert_allclose(grown[:, 0], [[1, 1, 0.1], [0, 0, 0.01]])
    lower = build_refiner("region_grow", probabilities="scores", rest="scores", background=0.9)(inputs)
    assert lower[:, 0].tolist() == [[1, 1, 1], [0, 0, 0]]


def test_threshold_is_strict() -> None:
    probabilities = np.array([[[0.5, 0.15]], [[0.5, 0.85]]], np.float32)
    assert grow_regions(np.array([[1, -1]]), probabilities, 0.85, 0.99).tolist() == [[1, -1]]
    assert grow_regions(np.array([[1, -1]]), probabilities, 0.84, 0.99).tolist() == [[1, 1]]


def test_shares() -> None:
    evidence = np.array([[[0.0, 0.25]], [[0.0, 0.75]]], np.float32)
    assert compute_probabilities(evidence).tolist() == [[[1, 0.25]], [[0, 0.75]]]
    halves = np.array([[[0.1]], [[0.3]]], np.float32)
    np.testing.assert_allclose(compute_probabilities(halves).ravel(), [0.25, 0.75], rtol=1e-6)


def test_seed_of_another_class_is_left_out_but_joins_the_regions_at_its_sides() -> None:
    # All pixels are confident of class 1. The seed of class 2 lies between the seed of class 1 and a last pixel.
    probabilities = np.array([[[0.0] * 3], [[0.9] * 3], [[0.1] * 3]], np.float32)
    assert grow_regions(np.array([[1, 2, -1]]), probabilities, 0.85, 0.99).tolist() == [[1, 2, 1]]


def test_neighbours_at_corners_are_joined() -> None:
    probabilities = np.array([[[0.9, 0.1], [0.1, 0.9]]], np.float32)
    probabilities = np.stack([probabilities[0], 1 - probabilities[0]])[::-1]
    assert grow_regions(np.array([[1, -1], [-1, -1]]), probabilities, 0.85, 0.99).tolist() == [[1, -1], [-1, 1]]


def test_in_a_chain_it_grows_from_the_original_seeds() -> None:
    inputs = row_input([7, 255, 255, 255], [1.0, 1.0, 0.1, 1.0])
    options = {"probabilities": "scores", "rest": "background"}
    chain = build_refiner(["none", "region_grow"], region_grow=options)
    np.testing.assert_array_equal(chain(inputs), build_refiner("region_grow", **options)(inputs))
    assert label_map_of(chain(inputs), (7,)).tolist() == [[7, 7, 0, 0]]


def test_crf_probabilities_reach_the_edge() -> None:
    image = np.full((20, 30, 3), 40, np.uint8)
    image[:, 15:] = 200
    scores = np.broadcast_to(np.linspace(0, 1, 30, dtype=np.float32), (1, 20, 30)).copy()
    seeds = np.full((20, 30), 255, np.uint8)
    seeds[10, 2], seeds[10, 27] = 0, 7
    inputs = RefineInput(image, scores, seeds, (7,), np.full((20, 30), 0.4, np.float32))
    labels = label_map_of(build_refiner("region_grow", rest="background")(inputs), (7,))
    np.testing.assert_array_equal(labels, np.where(image[..., 0] > 100, 7, 0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"foreground": 1.1}, "refine.foreground: expected a value in"),
        ({"background": np.nan}, "refine.background: expected a value in"),
        ({"probabilities": "cfr"}, "Did you mean: crf"),
        ({"rest": "backgruond"}, "Did you mean: background"),
        ({"crf_preset": "se"}, "Did you mean: sec"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_refiner("region_grow", **options)
