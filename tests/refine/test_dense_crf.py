from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.oracles.refine_methods import mean_field
from wsl.compiled import load_compiled
from wsl.errors import ConfigError, DataError
from wsl.refine.crf import DenseField
from wsl.refine.crf.unary import compute_label_unary
from wsl.refine.dense_crf import DenseCrf, divide_widths, fit_widths, make_kernels
from wsl.refine.presets import PRESETS, CrfConstants
from wsl.refine.refiner import RefineInput, build_refiner, label_map_of

BACKENDS = ("compiled", "numpy", "torch", "pydensecrf")


def half_and_half(size: tuple[int, int] = (24, 30)) -> tuple[np.ndarray, np.ndarray]:
    """An image whose right half is bright, and a class score that reaches a little over the edge, blurred."""
    image = np.full((*size, 3), 40, np.uint8)
    image[:, size[1] // 2 :] = 200
    ramp = np.clip((np.arange(size[1]) - size[1] / 2 + 6) / 8, 0, 1).astype(np.float32)
    return image, np.broadcast_to(ramp, size).copy()


def half_input(size: tuple[int, int] = (24, 30), **changes: Any) -> RefineInput:
    image, score = half_and_half(size)
    seeds = np.where(score > 0.3, 5, 0).astype(np.uint8)
    seeds[(score > 0.1) & (score <= 0.3)] = 255
    return replace(RefineInput(image, score[None], seeds, (5,), np.full(size, 0.3, np.float32)), **changes)


def noisy_input(size: tuple[int, int], classes: int = 1) -> RefineInput:
    """Blocks of colour with noise, and random smooth scores."""
    rng = np.random.default_rng(sum(size))
    blocks = rng.integers(0, 256, (-(-size[0] // 16), -(-size[1] // 16), 3)).repeat(16, 0).repeat(16, 1)
    image = np.clip(blocks[: size[0], : size[1]] + rng.normal(0, 4, (*size, 3)), 0, 255).astype(np.uint8)
    scores = rng.random((classes, -(-size[0] // 24), -(-size[1] // 24))).repeat(24, 1).repeat(24, 2)
    scores = scores[:, : size[0], : size[1]].astype(np.float32)
    return RefineInput(image, scores, None, tuple(range(1, classes + 1)), np.full(size, 0.4, np.float32))


def require(backend: str) -> None:
    if backend == "compiled" and load_compiled("wsl.refine.crf.lattice_compiled") is None:
        pytest.skip("COMPILED FORM SWITCHED OFF OR NUMBA MISSING")
    pytest.importorskip({"pydensecrf": "pydensecrf"}.get(backend, "numpy"))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("labels", [2, 4])
def test_mean_field_against_all_pairs(labels: int, backend: str) -> None:
    """The lattice only approximates the kernel; constants in the wrong place would be far outside this tolerance."""
    require(backend)
    rng = np.random.default_rng(1)
    image = np.repeat(np.repeat(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8), 4, 0), 4, 1)
    scores = rng.dirichlet(np.ones(labels), (16, 20)).transpose(2, 0, 1).clip(np.exp(-5), 1).astype(np.float32)
    inputs = RefineInput(image, scores[1:], None, tuple(range(1, labels)), scores[0])
    widths = {"gaussian_sxy": 2.0, "bilateral_sxy": 9.0, "bilateral_srgb": 20.0}
    options: dict[str, Any] = {"preset": "psa", "iterations": 5, "backend": backend, **widths}
    exact = mean_field(image, -np.log(scores.astype(np.float64)), 5, (2, 3), (9, 20, 4))
    ours = DenseCrf(**options, gaussian_compat=3, bilateral_compat=4)(inputs)
    error = np.abs(ours - exact).mean()
    assert np.mean(ours.argmax(0) == exact.argmax(0)) > 0.97
    assert error < 0.04
    # The bound means something: leaving out either term is much further away.
    for gaussian, bilateral in ((0, 4), (3, 0)):
        partial = DenseCrf(**options, gaussian_compat=gaussian, bilateral_compat=bilateral)(inputs)
        assert np.abs(partial - exact).mean() > 4 * error


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("size", "classes"), [((1, 1), 1), ((7, 1), 2), ((33, 41), 1), ((40, 56), 4)])
def test_backends_agree(backend: str, size: tuple[int, int], classes: int) -> None:
    require(backend)
    inputs = noisy_input(size, classes)
    wanted = DenseCrf(preset="psa", backend="numpy")(inputs)
    found = DenseCrf(preset="psa", backend=backend)(inputs)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)


def test_without_numba_the_numpy_form_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSL_COMPILED", "0")
    inputs = noisy_input((20, 30))
    np.testing.assert_array_equal(DenseCrf("psa")(inputs), DenseCrf("psa", backend="numpy")(inputs))
    with pytest.raises(ConfigError, match="numba is missing"):
        DenseCrf("psa", backend="compiled")(inputs)


def test_labels_move_to_the_edge() -> None:
    inputs = half_input()
    refined = label_map_of(build_refiner("dense_crf", preset="irn")(inputs), (5,))
    wanted = np.where(inputs.image[..., 0] > 100, 5, 0)
    assert (inputs.seeds != wanted).mean() > 0.1
    assert (refined == wanted).all()


@pytest.mark.parametrize(("unary", "clipped"), [("scores", True), ("logits", False)])
def test_without_pairwise_terms_it_is_the_softmax_of_the_unary(unary: str, clipped: bool) -> None:
    inputs = half_input()
    refined = DenseCrf("psa", unary=unary, gaussian_compat=0, bilateral_compat=0)(inputs)
    powers = np.clip(inputs.stack(), 1e-5, 1) if clipped else np.exp(inputs.stack())
    np.testing.assert_allclose(refined, powers / powers.sum(0), atol=1e-5)


def test_options_replace_the_constants_of_the_preset() -> None:
    refiner = build_refiner("dense_crf", preset="irn", iterations=3, bilateral_srgb=9.0, unary="scores")
    assert refiner.constants == CrfConstants(3, 3, 3, 50, 9.0, 10, "scores")
    assert refiner.needs == "scores"
    assert build_refiner("dense_crf").needs == "seeds"
    wrapped = DenseCrf("clip_es_wrapped", wrap_uint8=False)
    assert wrapped.constants == PRESETS["clip_es"]
    assert pickle.loads(pickle.dumps(refiner)) == refiner  # noqa: S301


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_runs(preset: str) -> None:
    evidence = DenseCrf(preset)(half_input((9, 11)))
    np.testing.assert_allclose(evidence.sum(0), 1, atol=1e-5)


def test_two_label_sets_share_their_lattices_and_are_as_if_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    first = half_input()
    second = replace(first, seeds=np.where(first.scores[0] > 0.8, 5, 0).astype(np.uint8))
    refiner = DenseCrf("irn", backend="numpy")
    alone = [refiner(first), refiner(second)]
    built: list[object] = []
    build = DenseField.__init__

    def count(self: DenseField, *args: Any, **names: Any) -> None:
        built.append(self)
        build(self, *args, **names)

    monkeypatch.setattr(DenseField, "__init__", count)
    together = refiner.refine_all([first, second])
    assert len(built) == 1
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.allclose(*together)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_bands_take_the_place_of_the_image(channels: int, backend: str) -> None:
    require(backend)
    inputs = half_input()
    bands = np.repeat(inputs.image[..., :1].astype(np.float64), channels, 2)
    hidden = replace(inputs, image=np.zeros_like(inputs.image), bands=bands)
    refined = label_map_of(DenseCrf("irn", backend=backend)(hidden), (5,))
    assert (refined == np.where(inputs.image[..., 0] > 100, 5, 0)).all()


def test_size_reference_scales_the_widths_in_pixels() -> None:
    constants = fit_widths(PRESETS["irn"], (100, 250), 500)
    assert constants == replace(PRESETS["irn"], gaussian_sxy=1.5, bilateral_sxy=25)
    assert fit_widths(PRESETS["irn"], (100, 250), None) == PRESETS["irn"]
    inputs = noisy_input((30, 40))
    scaled = DenseCrf("psa", gaussian_sxy=6, bilateral_sxy=160, size_reference=80)(inputs)
    np.testing.assert_array_equal(scaled, DenseCrf("psa")(inputs))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_early_stop_lies_between_one_iteration_and_all(backend: str) -> None:
    inputs = noisy_input((40, 56), 2)
    full = DenseCrf("psa", backend=backend)(inputs)
    np.testing.assert_array_equal(DenseCrf("psa", tolerance=1e-12, backend=backend)(inputs), full)
    once = DenseCrf("psa", tolerance=1.0, backend=backend)(inputs)
    np.testing.assert_array_equal(once, DenseCrf("psa", iterations=1, backend=backend)(inputs))
    assert np.abs(once - full).max() > 0.01


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (25, 31), (48, 64)])
def test_half_resolution_has_the_image_size_and_sums_to_one(size: tuple[int, int]) -> None:
    evidence = DenseCrf("psa", scale=2)(noisy_input(size, 2))
    assert evidence.shape == (3, *size)
    np.testing.assert_allclose(evidence.sum(0), 1, atol=1e-5)


def test_half_resolution_is_the_crf_of_the_halved_image() -> None:
    inputs = half_input((24, 32))
    small = half_input((24, 32), scores=np.float32(np.zeros((1, 24, 32))), background=np.ones((24, 32), np.float32))
    evidence = DenseCrf("irn", scale=2)(inputs)
    wanted = np.where(inputs.image[..., 0] > 100, 5, 0)
    assert (label_map_of(evidence, (5,)) == wanted).mean() > 0.95
    np.testing.assert_array_equal(DenseCrf("irn", scale=2)(small), evidence)  # labels come from the seeds alone


def test_tiles_leave_no_seams(real_data: Any) -> None:
    from wsl.data.images import read_image

    path = sorted((real_data / "data" / "coco_mini").rglob("*.jpg"))[0]
    image = np.asarray(read_image(path))[:240, :320]
    size = image.shape[:2]
    score = np.clip(1.2 - np.hypot(*np.meshgrid(*(np.linspace(-2, 2, n) for n in size), indexing="ij")), 0, 1)
    seeds = (score > 0.3).astype(np.uint8)
    inputs = RefineInput(image, score[None].astype(np.float32), seeds, (1,), np.full(size, 0.3, np.float32))
    whole = DenseCrf("irn", bilateral_sxy=15)(inputs)

    def measure_step(tiled: np.ndarray, columns: list[int]) -> float:
        """What the tiles add to the change of Q across the edges of tiles, mean over the rows, the largest edge."""
        steps = np.abs(np.diff(tiled - whole, axis=2)[1]).mean(0)
        return max(float(steps[column - 1]) for column in columns)

    tiled = DenseCrf("irn", bilateral_sxy=15, tile=160, tile_overlap=60)(inputs)
    assert (whole.argmax(0) == tiled.argmax(0)).mean() > 0.995
    assert np.abs(whole - tiled).mean() < 0.005
    assert measure_step(tiled, [80, 160, 240]) < 0.01
    assert measure_step(DenseCrf("irn", bilateral_sxy=15, tile=160, tile_overlap=0)(inputs), [160]) > 0.02


def test_a_tile_that_holds_the_image_changes_nothing() -> None:
    inputs = noisy_input((30, 40), 2)
    np.testing.assert_allclose(DenseCrf("psa", tile=40)(inputs), DenseCrf("psa")(inputs), atol=1e-6)


def test_large_images_are_tiled_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = noisy_input((60, 80))
    asked = DenseCrf("psa", bilateral_sxy=4, tile=48, tile_overlap=8)(inputs)
    monkeypatch.setattr("wsl.refine.crf.tiles.UNTILED_PIXELS", 60 * 80 - 1)
    monkeypatch.setattr("wsl.refine.crf.tiles.AUTO_TILE", 48)
    np.testing.assert_array_equal(DenseCrf("psa", bilateral_sxy=4)(inputs), asked)
    monkeypatch.setattr("wsl.refine.crf.tiles.UNTILED_PIXELS", 60 * 80)
    assert not np.array_equal(DenseCrf("psa", bilateral_sxy=4)(inputs), asked)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "irm"}, "refine.preset: unknown value 'irm'.*Did you mean: irn"),
        ({"unary": "label"}, "Did you mean: labels"),
        ({"backend": "tourch"}, "refine.backend: .*Did you mean: torch"),
        ({"iterations": 0}, "refine.iterations: expected a number of at least 1"),
        ({"iterations": 2.5}, "expected a whole number"),
        ({"gaussian_sxy": 0}, "refine.gaussian_sxy: expected a number above 0"),
        ({"bilateral_sxy": np.nan}, "refine.bilateral_sxy"),
        ({"bilateral_srgb": -1}, "refine.bilateral_srgb"),
        ({"bilateral_compat": -1}, "refine.bilateral_compat: expected a number of at least 0"),
        ({"gt_prob": 1.0}, "refine.gt_prob"),
        ({"wrap_uint8": "yes"}, "refine.wrap_uint8: expected true or false"),
        ({"tolerance": -1}, "refine.tolerance"),
        ({"tolerance": 0.1, "backend": "pydensecrf"}, "refine.tolerance: .*cannot stop early"),
        ({"scale": 0.5}, "refine.scale"),
        ({"size_reference": 0}, "refine.size_reference"),
        ({"tile": 1}, "refine.tile"),
        ({"tile": 2.5}, "refine.tile: expected a whole number"),
        ({"tile": 8, "tile_overlap": 8}, "refine.tile_overlap: expected less than the tile of 8"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_refiner("dense_crf", **options)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("option", ["gaussian_sxy", "bilateral_sxy", "bilateral_srgb"])
def test_too_small_widths_are_refused(option: str, backend: str) -> None:
    """pydensecrf's coordinates wrap around in 16 bits, and it says nothing."""
    require(backend)
    with pytest.raises(ConfigError, match="too small"):
        DenseCrf(preset="psa", backend=backend, **{option: 1e-4})(half_input())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("preset", ["psa", "irn"])
def test_arrays_of_any_layout_give_the_same(backend: str, preset: str) -> None:
    require(backend)
    inputs = half_input()
    wanted = DenseCrf(preset, backend=backend)(inputs)
    image = np.asfortranarray(inputs.image)
    strided = np.repeat(inputs.scores.astype(np.float64), 2, 2)[:, :, ::2]
    for array in (image, strided):
        array.setflags(write=False)
    other = replace(inputs, image=image, scores=strided, background=inputs.background.astype(np.float16))
    np.testing.assert_allclose(DenseCrf(preset, backend=backend)(other), wanted, atol=2e-3)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("preset", ["psa", "irn"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_scores_without_contrast_and_seeds_of_255_are_no_error(value: float, preset: str, backend: str) -> None:
    require(backend)
    image, score = half_and_half()
    plane = np.full(score.shape, value, np.float32)
    inputs = RefineInput(image, plane[None], np.full(score.shape, 255, np.uint8), (5,), np.zeros_like(plane))
    evidence = DenseCrf(preset, backend=backend)(inputs)
    assert np.isfinite(evidence).all()
    np.testing.assert_allclose(evidence.sum(0), 1, atol=1e-5)
    if preset == "irn":  # nothing is known: the labels are alike everywhere
        np.testing.assert_allclose(evidence, 0.5, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_image_without_classes_is_background(backend: str) -> None:
    image, _ = half_and_half()
    inputs = RefineInput(image, np.zeros((0, 24, 30), np.float32), None, (), np.zeros((24, 30), np.float32))
    np.testing.assert_array_equal(DenseCrf("irn", backend=backend)(inputs), np.ones((1, 24, 30)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((30, 24, 3), np.uint8)}, "sizes must be equal"),
        ({"scores": np.full((1, 24, 30), np.nan, np.float32)}, "NaN or inf"),
        ({"scores": np.full((1, 24, 30), -0.5, np.float32)}, r"expected values in \[0, 1\]"),
        ({"scores": np.zeros((1, 24, 30), np.int32)}, "expected floating"),
        ({"image": np.zeros((24, 30, 3), np.float32)}, "expected uint8"),
        ({"bands": np.full((24, 30), np.inf)}, "expected finite real numbers"),
        ({"seeds": np.full((24, 30), 7, np.uint8)}, r"found \[7\]"),
    ],
)
def test_bad_inputs_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        DenseCrf("psa")(replace(half_input(), **changes))


def test_wrapping_is_for_rgb_images_only() -> None:
    inputs = replace(half_input(), bands=np.zeros((24, 30, 2)))
    with pytest.raises(DataError, match="wrap_uint8: expected an RGB image"):
        DenseCrf("clip_es_wrapped")(inputs)


def test_kernels_and_halved_widths() -> None:
    gaussian, bilateral = make_kernels(divide_widths(PRESETS["irn"], 2))
    assert (gaussian.sxy, gaussian.schan, float(gaussian.compat)) == ((1.5, 1.5), None, 3)  # type: ignore[arg-type]
    assert (bilateral.sxy, bilateral.schan, float(bilateral.compat)) == ((25, 25), (5,), 10)  # type: ignore[arg-type]


def test_the_refiner_feeds_the_unary_of_the_seeds() -> None:
    inputs = half_input()
    unary = compute_label_unary(inputs.seed_index(), 2, 0.9)
    field = DenseField(inputs.image, make_kernels(PRESETS["irn"]))
    np.testing.assert_array_equal(DenseCrf("irn", gt_prob=0.9)(inputs), field.infer(unary, 10))
