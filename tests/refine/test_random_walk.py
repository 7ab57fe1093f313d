from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.oracles import refine_random_walk as oracle
from wsl.errors import ConfigError, DataError
from wsl.refine.refiner import RefineInput, build_refiner
from wsl.refine.walk.constants import PRESETS
from wsl.refine.walk.grid import choose_stride, enlarge, fit_edges, resize, shrink

SIZE = (19, 23)  # below 64 pixels the grid is the image itself


def make_input(kind: str = "", size: tuple[int, int] = SIZE, seed: int = 0, **more: object) -> RefineInput:
    rng = np.random.default_rng(seed)
    image = np.ascontiguousarray(cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), size[::-1]).reshape(*size, 3))
    cells = size[0] * size[1]
    shapes = {"edges": size, "features": (5, *size), "attention": (9, cells, cells)}
    guide = rng.random(shapes[kind]).astype(np.float32) * 0.8 if kind else None
    planes = rng.random((2, *size), dtype=np.float32)
    background = np.full(size, 0.25, np.float32)
    given = {"guide": guide, "scores": planes, "class_ids": (2, 6)} | more
    return RefineInput(image=image, seeds=None, background=background, **given)  # type: ignore[arg-type]


def kind_of(preset: str) -> str:
    return build_refiner("random_walk", preset=preset).guide


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("size", [SIZE, (1, 1), (1, 9), (7, 1)])
def test_every_preset_on_small_images(preset: str, size: tuple[int, int]) -> None:
    refiner = build_refiner("random_walk", preset=preset)
    evidence = refiner(make_input(kind_of(preset), size))
    assert evidence.dtype == np.float32
    assert evidence.shape == (3, *size)
    assert np.isfinite(evidence).all()
    assert evidence.min() >= 0
    assert pickle.loads(pickle.dumps(refiner)) == refiner  # noqa: S301


def test_irn_against_the_dense_power() -> None:
    inputs = make_input("edges")
    edges = inputs.guide
    walked = oracle.dense_walk(inputs.scores * (1 - edges), oracle.path_affinity(edges, 5), 10, 8)
    evidence = build_refiner("random_walk", preset="irn")(inputs)
    np.testing.assert_allclose(evidence[1:], walked / walked.max(), atol=2e-4)
    np.testing.assert_array_equal(evidence[0], inputs.background)


def test_psa_against_the_dense_power() -> None:
    inputs = make_input("features")
    matrix = oracle.feature_affinity(inputs.guide, 5, published=True)
    wanted = oracle.dense_walk(inputs.stack(), matrix, 8, 8)
    np.testing.assert_allclose(build_refiner("random_walk", preset="psa")(inputs), wanted, atol=5e-5)


def test_gradient_and_colour_against_the_dense_power() -> None:
    inputs = make_input()
    bands = np.moveaxis(inputs.image, -1, 0).astype(np.float32)
    for affinity, matrix in (
        ("gradient", oracle.path_affinity(oracle.gradient_edges(bands), 4)),
        ("colour", oracle.colour_affinity(bands, 4, 30)),
    ):
        refiner = build_refiner("random_walk", affinity=affinity, radius=4, beta=5, steps_log2=4, normalise="none")
        wanted = oracle.dense_walk(inputs.scores, matrix, 5, 4)
        np.testing.assert_allclose(refiner(inputs)[1:], wanted, atol=5e-5)


def test_clip_es_against_the_oracle() -> None:
    inputs = make_input("attention", (6, 7))
    matrix = oracle.attention_affinity(inputs.guide, 8, 3)
    walked = inputs.scores.reshape(2, -1) @ (matrix @ matrix).T
    span = np.ptp(walked, axis=1, keepdims=True)
    wanted = ((walked - walked.min(axis=1, keepdims=True)) / span).reshape(2, 6, 7)
    evidence = build_refiner("random_walk", preset="clip_es", box_threshold=0)(inputs)
    np.testing.assert_allclose(evidence[1:], wanted, atol=2e-3)


def test_bands_stand_in_for_the_image() -> None:
    bands = np.zeros((*SIZE, 4), np.float32)
    bands[:, 11:] = 255
    scores = np.zeros((2, *SIZE), np.float32)
    scores[0, :, :8] = scores[1, :, 14:] = 1
    evidence = build_refiner("random_walk", affinity="colour")(make_input(bands=bands, scores=scores))
    np.testing.assert_allclose(evidence[1, :, 11:], 0, atol=5e-5)
    np.testing.assert_allclose(evidence[2, :, :11], 0, atol=5e-5)
    assert evidence[1, :, :11].min() > 0.3


def test_normalisers_and_zero_scores() -> None:
    scores = np.stack([np.full(SIZE, 0.8), np.full(SIZE, 0.2)]).astype(np.float32)
    for how, peaks in (("global", [1, 0.25]), ("class", [1, 1]), ("none", [0.8, 0.2])):
        evidence = build_refiner("random_walk", normalise=how)(make_input(scores=scores))
        np.testing.assert_allclose(evidence[1:].max(axis=(1, 2)), peaks, atol=1e-4)
    for how in ("global", "class", "range", "none"):
        zero = np.zeros((2, *SIZE), np.float32)
        assert not build_refiner("random_walk", normalise=how)(make_input(scores=zero))[1:].any()


def test_sharpening_comes_before_the_walk() -> None:
    inputs = make_input("edges")
    by_hand = make_input("edges", scores=inputs.scores ** np.float32(1.5))
    sharpened = build_refiner("random_walk", preset="adv_cam")(inputs)
    np.testing.assert_array_equal(sharpened, build_refiner("random_walk", preset="irn")(by_hand))


def test_no_class_is_background_everywhere() -> None:
    none = make_input(scores=np.zeros((0, *SIZE), np.float32), class_ids=())
    np.testing.assert_array_equal(build_refiner("random_walk")(none), np.ones((1, *SIZE)))


@pytest.mark.parametrize("affinity", ["gradient", "colour"])
def test_flips(affinity: str) -> None:
    inputs = make_input(size=(128, 132))
    refiner = build_refiner("random_walk", affinity=affinity)
    flipped = RefineInput(
        inputs.image[:, ::-1], inputs.scores[..., ::-1], None, inputs.class_ids, inputs.background[:, ::-1]
    )
    np.testing.assert_allclose(refiner(flipped)[..., ::-1], refiner(inputs), atol=2e-4)


def test_the_walk_removes_noise_inside_regions() -> None:
    rng = np.random.default_rng(1)
    truth = np.zeros((128, 160), bool)
    truth[30:90, 40:110] = True
    image = np.where(truth[..., None], np.uint8(200), np.uint8(60)).repeat(3, axis=-1)
    scores = np.clip(np.where(truth, 0.7, 0.1) + rng.normal(0, 0.3, truth.shape), 0, 1).astype(np.float32)[None]
    inputs = RefineInput(image, scores, None, (1,), np.full(truth.shape, 0.5, np.float32))
    evidence = build_refiner("random_walk")(inputs)
    assert ((evidence[1] > evidence[0]) == truth).mean() > ((scores[0] > 0.5) == truth).mean() + 0.08


def test_grids() -> None:
    assert [choose_stride((height, 999), 4) for height in (375, 128, 127, 40, 1)] == [
        4,
        4,
        3,
        1,
        1,
    ]
    planes = np.arange(30, dtype=np.float32).reshape(1, 5, 6)
    coarse = shrink(planes, 4)
    assert coarse.shape == (1, 2, 2)
    assert coarse[0, 0, 0] == planes[0, :4, :4].mean()
    assert coarse[0, 1, 1] == planes[0, 4, [4, 5, 5, 5]].mean()
    assert enlarge(coarse, 4, (5, 6)).shape == (1, 5, 6)
    np.testing.assert_array_equal(resize(planes, (5, 6)), planes)


def test_edge_maps_of_any_size() -> None:
    edges = np.zeros((10, 13), np.float32)
    edges[3, 9] = 1
    fitted = fit_edges(edges, (10, 13), 4)
    assert fitted.shape == (3, 4)
    assert np.argwhere(fitted).tolist() == [[0, 2]]
    np.testing.assert_array_equal(fit_edges(fitted, (10, 13), 4), fitted)
    assert fit_edges(np.full((5, 7), 0.5), (10, 13), 4).tolist() == np.full((3, 4), 0.5).tolist()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "irm"}, "Did you mean: irn"),
        ({"affinity": "color"}, "Did you mean: colour"),
        ({"normalise": "max"}, "refine.normalise"),
        ({"borders": "cut"}, "refine.borders"),
        ({"radius": 0}, "refine.radius"),
        ({"stride": 2.5}, "refine.stride"),
        ({"steps_log2": 17}, "at most 16"),
        ({"steps_log2": True}, "whole number"),
        ({"beta": float("nan")}, "refine.beta"),
        ({"sharpen": 0}, "refine.sharpen"),
        ({"colour_sigma": -1}, "refine.colour_sigma"),
        ({"box_threshold": 1}, "refine.box_threshold"),
    ],
)
def test_bad_options(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build_refiner("random_walk", **options)


@pytest.mark.parametrize(
    ("affinity", "guide", "words"),
    [
        ("edges", None, "guide of kind 'edges'"),
        ("edges", np.full(SIZE, 2.0), "expected values in"),
        ("edges", np.zeros((1, *SIZE)), "dimensions"),
        ("features", np.zeros(SIZE), "dimensions"),
        ("attention", np.ones((5, 5)), "tokens fit neither"),
        ("edges", np.full(SIZE, np.nan), "guide"),
    ],
)
def test_bad_guides(affinity: str, guide: np.ndarray | None, words: str) -> None:
    with pytest.raises(DataError, match=words):
        build_refiner("random_walk", affinity=affinity)(make_input(guide=guide))


def test_a_real_photograph(real_data: Path) -> None:
    path = sorted((real_data / "data" / "coco_mini").rglob("*.jpg"))[0]
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    size = image.shape[:2]
    score = np.zeros(size, np.float32)
    cv2.circle(score, (size[1] // 2, size[0] // 2), min(size) // 4, 1.0, -1)
    inputs = RefineInput(image, score[None], None, (1,), np.full(size, 0.3, np.float32))
    evidence = build_refiner("random_walk")(inputs)
    assert evidence[1].max() == 1
    assert evidence[1, 0, 0] < evidence[1, size[0] // 2, size[1] // 2]
