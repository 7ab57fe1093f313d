"""What PAMR and PAR share, both in their compiled and in their NumPy form."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracles import refine_pamr, refine_par
from wsl.errors import ConfigError, DataError
from wsl.refine import neighbours
from wsl.refine.neighbours import NeighbourRefiner, list_offsets
from wsl.refine.pamr import Pamr
from wsl.refine.par import Par
from wsl.refine.refiner import RefineInput, build_refiner

Oracle = Callable[..., np.ndarray]
METHODS = [(Pamr, refine_pamr.pamr), (Par, refine_par.par)]
PUBLISHED = (1, 2, 4, 8, 12, 24)


@pytest.fixture(params=["1", "0"], ids=["compiled", "numpy"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "1":
        pytest.importorskip("numba")
    monkeypatch.setenv("WSL_COMPILED", request.param)
    return str(request.param)


def random_pair(
    size: tuple[int, int], planes: int, seed: int, channels: int = 3, flat: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, channels), dtype=np.uint8)
    if flat:
        image[: size[0] // 2] = 90  # a flat part, where the spread is zero
    return image, rng.random((planes, *size), dtype=np.float32)


def average(refiner: NeighbourRefiner, image: np.ndarray, planes: np.ndarray) -> np.ndarray:
    return refiner.average(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32), planes)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.sampled_from([(1,), (1, 2), (1, 3, 6)]),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(0, 99),
)
@pytest.mark.parametrize(("method", "oracle"), METHODS)
def test_against_the_oracle(
    form: str,
    method: type[NeighbourRefiner],
    oracle: Oracle,
    size: tuple[int, int],
    dilations: tuple[int, ...],
    iterations: int,
    channels: int,
    seed: int,
) -> None:
    image, planes = random_pair(size, 2, seed, channels, flat=method is Pamr)
    ours = average(method(iterations, dilations), image, planes)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, oracle(image, planes, iterations, dilations), atol=2e-5)


@pytest.mark.parametrize(("method", "oracle"), METHODS)
def test_published_settings_against_the_oracle(form: str, method: type[NeighbourRefiner], oracle: Oracle) -> None:
    image, planes = random_pair((9, 8), 2, 5)
    wanted = oracle(image, planes, 10, PUBLISHED)
    np.testing.assert_allclose(average(method(10, PUBLISHED), image, planes), wanted, atol=5e-5)


@pytest.mark.parametrize(("method", "oracle"), METHODS)
def test_a_real_image_is_the_same_in_both_forms(
    method: type[NeighbourRefiner], oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    image = np.random.default_rng(0).normal(120, 4, (60, 50, 3)).round().astype(np.uint8)
    image[20:40, 10:30] += 60
    planes = np.random.default_rng(1).random((2, 60, 50), dtype=np.float32)
    forms = []
    for switch in "10":
        monkeypatch.setenv("WSL_COMPILED", switch)
        forms.append(average(method(), image, planes))
    np.testing.assert_allclose(forms[0], forms[1], atol=1e-5)


@pytest.mark.parametrize("method", [Pamr, Par])
def test_strips_and_memory_limit_do_not_change_a_bit(
    form: str, method: type[NeighbourRefiner], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, planes = random_pair((13, 11), 2, 3)
    whole = average(method(3, (1, 4)), image, planes)
    monkeypatch.setattr(neighbours, "STRIP_PIXELS", 30)
    strips = average(method(3, (1, 4)), image, planes)
    monkeypatch.setattr(neighbours, "WEIGHT_BYTES", 0)
    np.testing.assert_array_equal(strips, average(method(3, (1, 4)), image, planes))
    np.testing.assert_allclose(strips, whole, atol=1e-6)


@pytest.mark.parametrize("method", [Pamr, Par])
def test_one_outlier_pixel_does_not_underflow(form: str, method: type[NeighbourRefiner]) -> None:
    image = np.zeros((9, 9, 3), np.uint8)
    image[4, 4] = 255
    refiner = method(2, (1, 2))
    wanted = 0.5 * refiner.gain**2
    np.testing.assert_allclose(average(refiner, image, np.full((1, 9, 9), 0.5, np.float32)), wanted, rtol=1e-5)


def test_offsets() -> None:
    offsets = list_offsets((1, 3))
    assert len(offsets) == len(set(offsets)) == 16
    assert (0, 0) not in offsets
    assert (-3, 3) in offsets


def make_input(background: np.ndarray | None = None, bands: np.ndarray | None = None) -> RefineInput:
    image, scores = random_pair((20, 26), 2, 7)
    plane = np.full((20, 26), 0.25, np.float32) if background is None else background
    return RefineInput(image, scores, None, (2, 6), plane, bands)


@pytest.mark.parametrize("method", [Pamr, Par])
def test_constant_planes_are_left_alone_and_others_refined(form: str, method: type[NeighbourRefiner]) -> None:
    inputs, refiner = make_input(), method()
    evidence = refiner(inputs)
    np.testing.assert_array_equal(evidence[0], inputs.background * np.float32(refiner.gain**10))
    np.testing.assert_array_equal(evidence[1:], average(refiner, inputs.image, inputs.scores))
    constant = average(refiner, inputs.image, inputs.background[None])[0]
    np.testing.assert_allclose(evidence[0], constant, rtol=1e-5)


@pytest.mark.parametrize("method", [Pamr, Par])
def test_varying_background_is_refined_with_the_scores(form: str, method: type[NeighbourRefiner]) -> None:
    inputs = make_input(random_pair((20, 26), 1, 9)[1][0])
    wanted = average(method(2, (1, 2)), inputs.image, inputs.stack())
    np.testing.assert_array_equal(method(2, (1, 2))(inputs), wanted)


@pytest.mark.parametrize("method", [Pamr, Par])
def test_several_label_sets_are_as_if_alone(form: str, method: type[NeighbourRefiner]) -> None:
    sets = [make_input(), make_input(np.full((20, 26), 0.5, np.float32)), make_input(random_pair((20, 26), 1, 2)[1][0])]
    for together, alone in zip(method().refine_all(sets), map(method(), sets), strict=True):
        np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("method", [Pamr, Par])
def test_bands_take_the_place_of_colours(form: str, method: type[NeighbourRefiner]) -> None:
    bands = np.random.default_rng(3).random((20, 26, 5), dtype=np.float32) * 255
    wanted = average(method(), bands, make_input().scores)
    np.testing.assert_array_equal(method()(make_input(bands=bands))[1:], wanted)


@pytest.mark.parametrize("method", [Pamr, Par])
def test_bands_far_off_the_scale_are_refused(method: type[NeighbourRefiner]) -> None:
    with pytest.raises(DataError, match=r"bands: expected values on the scale of 0..255, but got 1e\+18"):
        method()(make_input(bands=np.full((20, 26), -1e18)))
    assert np.isfinite(method()(make_input(bands=np.random.default_rng(0).random((20, 26)) * 1e9))).all()


@pytest.mark.parametrize("name", ["pamr", "par"])
def test_scale_works_small_and_returns_the_full_size(name: str) -> None:
    image = np.full((40, 60, 3), 30, np.uint8)
    image[:, 30:] = 220
    score = np.clip((np.arange(60) - 20) / 20, 0, 1).astype(np.float32)
    scores = np.broadcast_to(score, (1, 40, 60)).copy()
    inputs = RefineInput(image, scores, None, (1,), np.full((40, 60), 0.5, np.float32))
    evidence = build_refiner(name, scale=2)(inputs)
    assert evidence.shape == (2, 40, 60)
    before = np.abs(scores[0] - (image[..., 0] > 100)).mean()
    assert np.abs(evidence[1] - (image[..., 0] > 100)).mean() < before
    assert build_refiner(name, scale=100)(inputs).shape == (2, 40, 60)


@pytest.mark.parametrize("name", ["pamr", "par"])
def test_threads_give_the_same_bytes(form: str, name: str) -> None:
    inputs = make_input()
    refiner = build_refiner(name)
    with ThreadPoolExecutor(4) as pool:
        assert {one.tobytes() for one in pool.map(refiner, [inputs] * 8)} == {refiner(inputs).tobytes()}


def test_par_weights_of_places_by_hand() -> None:
    # One dilation: four neighbours at 1 and four at sqrt(2); their deviation is (sqrt(2) - 1) / 2 * sqrt(8 / 7).
    from wsl.refine.par import weigh_places

    deviation = (np.sqrt(2) - 1) / 2 * np.sqrt(8 / 7)
    near, far = np.exp(-1 / (0.3 * deviation) ** 2), np.exp(-2 / (0.3 * deviation) ** 2)
    wanted = np.array([far, near, far, near, near, far, near, far]) / (4 * near + 4 * far)
    np.testing.assert_allclose(weigh_places((1,)), wanted, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("name", ["pamr", "par"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "refine.iterations: expected a number of at least 1, but got 0"),
        ({"scale": 1.5}, "refine.scale: expected a whole number"),
        ({"dilations": []}, "refine.dilations: expected different whole numbers"),
        ({"dilations": [1, 1]}, "refine.dilations"),
        ({"dilations": [0.5]}, "refine.dilations"),
    ],
)
def test_bad_options(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_refiner(name, **options)


def test_bad_position_weight() -> None:
    with pytest.raises(ConfigError, match=r"refine.position_weight: expected a number of at least 0"):
        build_refiner("par", position_weight=-1)
