from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tests.oracles.evaluate_max_box_acc import best_overlaps
from wsl import compiled
from wsl.errors import ConfigError
from wsl.evaluate.localization.level_boxes import find_best_overlaps

KINDS = ("smooth", "rough", "noise", "plateaus", "checkerboard", "flat", "rings")
MODULE = "wsl.evaluate.localization.tree_steps_compiled"


def make_image(kind: str, seed: int, largest: int = 14) -> np.ndarray:
    generator = np.random.default_rng(seed)
    size = generator.integers(1, largest, 2)
    noise = generator.random(size)
    rows, columns = np.indices(size)
    values = {
        "smooth": ndimage.gaussian_filter(noise, 2.5),
        "rough": ndimage.gaussian_filter(noise, 0.8),
        "noise": noise,
        "plateaus": np.floor(ndimage.gaussian_filter(noise, 0.7) * 6),
        "checkerboard": (rows + columns) % 2 * 1.0,
        "flat": np.full(size, 0.5),
        "rings": np.maximum(abs(rows - size[0] // 2), abs(columns - size[1] // 2)) % 3 * 1.0,
    }[kind]
    span = float(np.ptp(values))
    return ((values - values.min()) / span * 255).astype(np.uint8) if span else np.full(size, 90, np.uint8)


def make_truth(seed: int, size: tuple[int, ...], whole: bool) -> np.ndarray:
    generator = np.random.default_rng(seed)
    corners = generator.random((generator.integers(1, 4), 2, 2)) * [size[1], size[0]]
    truth = np.sort(corners, axis=1).reshape(-1, 4)
    return np.trunc(truth) if whole else truth


@pytest.fixture(params=["compiled", "opencv"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setenv(compiled.SWITCH, "1" if request.param == "compiled" else "0")
    return request.param


@pytest.mark.parametrize("box_rule", ["wsolevaluation", "half_open"])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_components_by_definition(way: str, kind: str, box_rule: str) -> None:
    for seed in range(3):
        image = make_image(kind, seed)
        truth = make_truth(seed, image.shape, whole=bool(seed % 2))
        levels = [0, 1, 40, 89, 90, 91, 128, 200, 254]
        found = find_best_overlaps(image, truth, levels, box_rule)
        np.testing.assert_array_equal(found, best_overlaps(image, truth, levels, box_rule == "wsolevaluation"))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(KINDS), every=st.booleans(), clip=st.booleans())
def test_compiled_and_opencv_give_the_same_numbers(seed: int, kind: str, every: bool, clip: bool) -> None:
    pytest.importorskip("numba")
    image = make_image(kind, seed, largest=40)
    truth = make_truth(seed, image.shape, whole=not every)
    levels = np.arange(255) if every else np.random.default_rng(seed).integers(0, 255, 7)
    rule = "wsolevaluation" if clip else "half_open"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(compiled.SWITCH, "1")
        first = find_best_overlaps(image, truth, levels, rule)
        patch.setenv(compiled.SWITCH, "0")
        np.testing.assert_array_equal(first, find_best_overlaps(image, truth, levels, rule))


def test_the_compiled_module_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    monkeypatch.setenv(compiled.SWITCH, "1")
    module, calls = compiled.load_compiled(MODULE), []
    measure = module.measure
    monkeypatch.setattr(module, "measure", lambda *given: calls.append(given) or measure(*given))
    find_best_overlaps(np.array([[0, 9]], np.uint8), np.zeros((1, 4)), [3])
    assert len(calls) == 2  # components and holes


def test_only_the_levels_asked_for(way: str) -> None:
    image = np.array([[0, 100, 200]], np.uint8)
    found = find_best_overlaps(image, np.array([[1.0, 0, 3, 1]]), [50, 60, 250], "half_open")
    assert np.flatnonzero(found[0]).tolist() == np.flatnonzero(found[1]).tolist() == [50, 60]
    assert found[:, 50].tolist() == [1.0, 1.0]


def test_a_hole_counts_with_its_border_for_all_contours_only(way: str) -> None:
    image = np.full((7, 7), 200, np.uint8)
    image[3, 3] = 0
    found = find_best_overlaps(image, np.array([[2.0, 2, 5, 5]]), [100], "half_open")
    assert found[:, 100].tolist() == [9 / 49, 1.0]


def test_the_largest_contour_encloses_its_holes_and_is_not_the_one_with_most_pixels(way: str) -> None:
    image = np.zeros((9, 20), np.uint8)
    image[1:8, 1:8] = 200
    image[2:7, 2:7] = 0  # a ring of 24 pixels that encloses 36
    image[2:7, 11:16] = 200  # a block of 25 pixels that encloses 16
    found = find_best_overlaps(image, np.array([[1.0, 1, 8, 8]]), [100], "half_open")
    assert found[0, 100] == 1.0


def test_of_equal_contours_the_one_that_begins_last_counts(way: str) -> None:
    image = np.zeros((5, 9), np.uint8)
    image[0, 7] = image[1, 2] = image[3, 0] = 255
    assert find_best_overlaps(image, np.array([[0.0, 3, 1, 4]]), [0], "half_open")[0, 0] == 1.0
    assert find_best_overlaps(image, np.array([[7.0, 0, 8, 1]]), [0], "half_open")[:, 0].tolist() == [0.0, 1.0]


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="box_rule: expected one of wsolevaluation, half_open, but got 'half'"):
        find_best_overlaps(np.zeros((2, 2), np.uint8), np.zeros((1, 4)), [0], "half")
