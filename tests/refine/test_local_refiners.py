"""Guided filter, superpixels, random walker and GrabCut: literal forms, drawn images, and what may not break them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from tests.oracles import refine_local as slow
from wsl.errors import ConfigError, DataError
from wsl.refine.grab_cut import GrabCut, draw_trimap
from wsl.refine.guided_filter import GuidedFilter, filter_guided
from wsl.refine.inputs import RefineInput
from wsl.refine.random_walker import RandomWalker, mark_sure, walk_from
from wsl.refine.refiner import Refiner, label_map_of
from wsl.refine.superpixels import Superpixels, average_regions

RANDOM = np.random.default_rng(0)
ALL = (GuidedFilter(), Superpixels(), Superpixels("felzenszwalb"), RandomWalker(), GrabCut())


def draw_square(side: int = 60) -> tuple[RefineInput, np.ndarray]:
    """A red square on noisy blue, and a blurred, shifted score map of it; the square's mask."""
    mask = np.zeros((side, side), bool)
    mask[18:42, 18:42] = True
    image = np.where(mask[..., None], np.array([200, 40, 40]), np.array([40, 60, 180])).astype(np.int64)
    image = np.clip(image + RANDOM.integers(-12, 13, image.shape), 0, 255).astype(np.uint8)
    yy, xx = np.indices((side, side))
    score = np.exp(-((yy - 32) ** 2 + (xx - 28) ** 2) / (2 * 10.0**2)).astype(np.float32)
    background = np.full((side, side), 0.45, np.float32)
    return RefineInput(image, score[None], None, (1,), background), mask


def iou(labels: np.ndarray, mask: np.ndarray) -> float:
    return float(((labels == 1) & mask).sum() / ((labels == 1) | mask).sum())


@pytest.mark.parametrize("refiner", ALL, ids=lambda one: f"{type(one).__name__}-{getattr(one, 'algorithm', '')}")
def test_a_clear_object_is_found_better(refiner: Refiner) -> None:
    inputs, mask = draw_square()
    before = iou(label_map_of(inputs.stack(), (1,)), mask)
    assert iou(label_map_of(refiner(inputs), (1,)), mask) > before + 0.02


@pytest.mark.parametrize("refiner", ALL, ids=lambda one: f"{type(one).__name__}-{getattr(one, 'algorithm', '')}")
def test_threads_give_the_same_bytes(refiner: Refiner) -> None:
    inputs, _ = draw_square()
    with ThreadPoolExecutor(4) as pool:
        results = {evidence.tobytes() for evidence in pool.map(refiner, [inputs] * 6)}
    assert len(results) == 1


@pytest.mark.parametrize("refiner", ALL, ids=lambda one: f"{type(one).__name__}-{getattr(one, 'algorithm', '')}")
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 7)])
def test_small_and_plain_images(refiner: Refiner, size: tuple[int, int]) -> None:
    plain = RefineInput(
        np.full((*size, 3), 7, np.uint8), np.zeros((2, *size), np.float32), None, (1, 2), np.ones(size, np.float32)
    )
    evidence = refiner(plain)
    assert np.isfinite(evidence).all()
    np.testing.assert_array_equal(label_map_of(evidence, (1, 2)), np.zeros(size))
    image = RANDOM.integers(0, 256, (*size[::-1], 3), dtype=np.uint8).transpose(1, 0, 2)  # not contiguous
    image.setflags(write=False)
    scores = RANDOM.random((2, *size))  # float64
    assert np.isfinite(refiner(replace(plain, image=image, scores=scores))).all()


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("radius", [1, 3, 20])
def test_guided_filter_is_that_of_literal_windows(channels: int, radius: int) -> None:
    guide, plane = RANDOM.random((channels, 9, 11)), RANDOM.random((9, 11))
    found = filter_guided(guide, plane[None], radius, 1e-3)[0]
    np.testing.assert_allclose(found, slow.guided_filter(guide, plane, radius, 1e-3), atol=1e-9)


def test_guided_filter_in_strips_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, _ = draw_square()
    whole = GuidedFilter(radius=4)(inputs)
    monkeypatch.setattr("wsl.refine.guided_filter.STRIP_NUMBERS", 60 * 25 * 7)
    np.testing.assert_allclose(GuidedFilter(radius=4)(inputs), whole, atol=1e-6)


def test_guided_filter_refuses_many_bands() -> None:
    inputs, _ = draw_square(20 + 40)
    with pytest.raises(DataError, match="at most 16 channels, but got 17"):
        GuidedFilter()(replace(inputs, bands=np.zeros((60, 60, 17))))


def test_region_means_are_those_of_literal_loops() -> None:
    evidence, regions = RANDOM.random((3, 6, 7), np.float32), RANDOM.integers(0, 5, (6, 7))
    np.testing.assert_allclose(average_regions(evidence, regions), slow.average_regions(evidence, regions), rtol=1e-5)


def test_superpixels_of_bands() -> None:
    inputs, mask = draw_square()
    grey = np.where(mask, 40000.0, 9000.0) / 257
    labels = label_map_of(Superpixels()(replace(inputs, image=np.zeros_like(inputs.image), bands=grey)), (1,))
    assert iou(labels, mask) > 0.85


def test_random_walker_is_the_dirichlet_problem() -> None:
    grey = RANDOM.random((6, 7))
    marks = np.full((6, 7), -1)
    marks[0, 0], marks[5, 6], marks[5, 0] = 0, 1, 2
    found = walk_from(grey[..., None] * 255, marks, 3, 30.0, "bf")
    np.testing.assert_allclose(found, slow.random_walk_probabilities(grey, marks, 30.0), atol=1e-4)


def test_sure_pixels_by_hand() -> None:
    scores = np.array([[[0.9, 0.5, 0.02, 0.6]], [[0.1, 0.5, 0.04, 0.7]]], np.float32)
    evidence = np.concatenate([np.full((1, 1, 4), 0.4, np.float32), scores])
    np.testing.assert_array_equal(mark_sure(evidence, 0.5, 0.05), [[1, -1, 0, 2]])


def test_random_walker_from_seeds_keeps_them() -> None:
    inputs, _ = draw_square()
    seeds = np.full((60, 60), 255, np.uint8)
    seeds[28:32, 28:32], seeds[:4] = 1, 0
    evidence = RandomWalker(start="seeds")(replace(inputs, seeds=seeds))
    np.testing.assert_array_equal(evidence[1][seeds == 1], 1)
    np.testing.assert_array_equal(evidence[1][seeds == 0], 0)
    np.testing.assert_allclose(evidence.sum(axis=0), 1, atol=1e-2)  # the solver is iterative


def test_trimap_by_hand() -> None:
    evidence = np.array([[[0.5, 0.5, 0.5, 0.5]], [[0.9, 0.6, 0.3, 0.01]]], np.float32)
    likely = np.array([[True, True, False, False]])
    np.testing.assert_array_equal(draw_trimap(evidence, 1, likely, (0.8, 0.05)), [[1, 3, 2, 0]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GrabCut(start="boxes"), "refine.start: unknown value 'boxes'"),
        (lambda: GrabCut(iterations=0), "refine.iterations: expected a number of at least 1"),
        (lambda: GrabCut(foreground=2), r"refine.foreground: expected a value in \[0, 1\]"),
        (lambda: GuidedFilter(radius=0), "refine.radius"),
        (lambda: GuidedFilter(epsilon=0), "refine.epsilon: expected a number above 0"),
        (lambda: Superpixels("watershed"), "refine.algorithm: unknown value 'watershed'"),
        (lambda: Superpixels(region_size=0), "refine.region_size"),
        (lambda: RandomWalker(mode="cg_mg"), "refine.mode: unknown value 'cg_mg'"),
        (lambda: RandomWalker(foreground=0.1, background=0.2), "expected 0 <= background <= foreground <= 1"),
    ],
)
def test_bad_options_are_named(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]
