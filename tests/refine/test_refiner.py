"""What every refiner must do, and the checks that stand before all of them."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from wsl.errors import ConfigError, DataError
from wsl.refine.refiner import REFINERS, RefineInput, build_refiner, label_map_of

NAMES = REFINERS.names()


def make_input(size: tuple[int, int] = (12, 15), class_ids: tuple[int, ...] = (4, 9), seed: int = 0) -> RefineInput:
    rng = np.random.default_rng(seed)
    scores = rng.random((len(class_ids), *size), dtype=np.float32)
    seeds = rng.choice(np.array([0, 255, *class_ids], np.uint8), size)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    return RefineInput(image, scores, seeds, class_ids, np.full(size, 0.4, np.float32))


def test_names() -> None:
    assert [
        *(
            "dense_crf",
            "grab_cut",
            "guided_filter",
            "none",
            "pamr",
            "par",
            "random_walk",
            "random_walker",
            "region_grow",
        ),
        "superpixels",
    ] == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (13, 17)])
@pytest.mark.parametrize("class_ids", [(3,), (7, 2, 254)])
def test_shapes_ranges_and_same_bytes(name: str, size: tuple[int, int], class_ids: tuple[int, ...]) -> None:
    inputs = make_input(size, class_ids)
    refiner = build_refiner(name)
    evidence = refiner(inputs)
    assert evidence.dtype == np.float32
    assert evidence.shape == (len(class_ids) + 1, *size)
    assert np.isfinite(evidence).all()
    assert evidence.min() >= 0
    assert evidence.tobytes() == refiner(make_input(size, class_ids)).tobytes()
    assert set(np.unique(label_map_of(evidence, class_ids))) <= {0, *class_ids}


@pytest.mark.parametrize("name", NAMES)
def test_input_is_not_changed(name: str) -> None:
    inputs, untouched = make_input(), make_input()
    build_refiner(name)(inputs)
    for part in ("image", "scores", "seeds", "background"):
        np.testing.assert_array_equal(getattr(inputs, part), getattr(untouched, part))


@pytest.mark.parametrize("name", NAMES)
def test_no_class_is_background_without_the_backend(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the backend was asked")

    monkeypatch.setattr(REFINERS.get(name), "compute_evidence", fail)
    inputs = RefineInput(
        np.zeros((2, 3, 3), np.uint8), np.zeros((0, 2, 3), np.float32), None, (), np.ones((2, 3), np.float32)
    )
    evidence = build_refiner(name)(inputs)
    assert (evidence == np.ones((1, 2, 3), np.float32)).all()
    assert label_map_of(evidence, ()).tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("name", NAMES)
def test_pickles_to_an_equal_refiner(name: str) -> None:
    refiner = build_refiner(name)
    again = pickle.loads(pickle.dumps(refiner))  # noqa: S301
    assert again == refiner
    assert again(make_input()).tobytes() == refiner(make_input()).tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_strided_and_read_only_input(name: str) -> None:
    plain = make_input((12, 14))
    wide = np.zeros((12, 28, 3), np.uint8)
    wide[:, ::2] = plain.image
    image = wide[:, ::2]
    image.setflags(write=False)
    scores = np.asfortranarray(plain.scores.astype(np.float64))
    strided = RefineInput(image, scores, plain.seeds, plain.class_ids, plain.background)
    refiner = build_refiner(name)
    assert refiner(strided).tobytes() == refiner(plain).tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_needs(name: str) -> None:
    refiner, full = build_refiner(name), make_input()
    bare = RefineInput(full.image, full.scores, None, full.class_ids, full.background)
    if refiner.needs == "seeds":
        with pytest.raises(DataError, match="needs seeds, but got None"):
            refiner(bare)
    else:
        assert refiner(bare).tobytes() == refiner(full).tobytes()


def test_none_changes_nothing() -> None:
    inputs = make_input()
    evidence = build_refiner("none")(inputs)
    np.testing.assert_array_equal(evidence, [inputs.background, *inputs.scores])


def test_label_map_of_ties() -> None:
    evidence = np.array([[[0.5, 0.2, 0.1]], [[0.5, 0.3, 0.1]], [[0.4, 0.3, 0.2]]], np.float32)
    assert label_map_of(evidence, (8, 3)).tolist() == [[0, 8, 3]]


def test_unknown_name_and_option() -> None:
    with pytest.raises(ConfigError, match="Did you mean: dense_crf"):
        build_refiner("dense_cfr")
    with pytest.raises(ConfigError, match=r"refine.method=pamr: unknown option 'iteration'\. Did you mean: iterations"):
        build_refiner("pamr", iteration=3)
    with pytest.raises(ConfigError, match=r"unknown option 'speed'\. It has no options"):
        build_refiner("none", speed=3)


def bad_parts() -> list[tuple[str, object, str]]:
    nan_scores = np.zeros((2, 12, 15), np.float32)
    nan_scores[0, 0, 0] = np.nan
    strange = np.full((12, 15), 77, np.uint8)
    return [
        ("scores", nan_scores, "scores: expected finite scores, but 1 are"),
        ("scores", np.zeros((2, 15, 12), np.float32), "image is 12x15 but scores is 15x12"),
        ("scores", np.full((2, 12, 15), 3.0, np.float32), "expected values in .*, but got 3..3"),
        ("scores", np.full((2, 12, 15), -0.5, np.float32), "normalise them first"),
        ("scores", np.zeros((2, 12, 15), np.uint8), "expected floating"),
        ("scores", np.zeros((1, 12, 15), np.float32), "expected 1 different ids"),
        ("background", np.full((12, 15), np.inf, np.float32), "background: expected finite"),
        ("background", np.zeros((1, 12, 15), np.float32), "background: expected floating"),
        ("background", np.zeros((12, 14), np.float32), "background is 12x14"),
        ("seeds", np.zeros((15, 12), np.uint8), "seeds is 15x12"),
        ("seeds", np.zeros((12, 15), np.int64), "seeds: expected uint8"),
        ("seeds", strange, r"the classes \(4, 9\), but found \[77\]"),
        ("image", np.zeros((12, 15, 3), np.float32), "image: expected uint8"),
        ("image", np.zeros((12, 15), np.uint8), "image: expected uint8"),
        ("class_ids", (4, 4), "2 different ids"),
    ]


@pytest.mark.parametrize(("part", "value", "message"), bad_parts())
def test_bad_input_is_refused_before_any_backend(part: str, value: object, message: str) -> None:
    good = make_input()
    parts = {name: getattr(good, name) for name in ("image", "scores", "seeds", "class_ids", "background")}
    with pytest.raises(DataError, match=message):
        RefineInput(**{**parts, part: value})


def test_rounding_above_one_is_clipped() -> None:
    good = make_input()
    scores = np.full_like(good.scores, np.nextafter(np.float32(1), np.float32(2)))
    assert RefineInput(good.image, scores, None, good.class_ids, good.background).scores.max() == 1


def test_import_needs_neither_torch_nor_pydensecrf() -> None:
    code = "import sys, wsl.refine.refiner; sys.exit(any(name in sys.modules for name in ('torch', 'pydensecrf')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
