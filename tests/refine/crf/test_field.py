from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from tests.oracles import refine_mean_field as oracle
from wsl.compiled import load_compiled
from wsl.errors import ConfigError, DataError
from wsl.refine.crf import DenseField, Kernel

RANDOM = np.random.default_rng(0)

NEAR = Kernel(2, 3)
ALIKE = Kernel(9, 4, 20)
BACKENDS = ("auto", "numpy")


def draw_case(size: tuple[int, int], labels: int, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A blocky uint8 image (H, W, C) with noise, and energies float32 (L, H, W) of other blocks."""
    rng = np.random.default_rng(3)
    blocks = rng.integers(0, 256, (size[0] // 4 + 1, size[1] // 4 + 1, channels))
    image = np.repeat(np.repeat(blocks, 4, 0), 4, 1)[: size[0], : size[1]] + rng.integers(-6, 7, (*size, channels))
    coarse = rng.dirichlet(np.ones(labels), (size[0] // 10 + 1, size[1] // 10 + 1))
    likely = np.repeat(np.repeat(coarse, 10, 0), 10, 1)[: size[0], : size[1]] + rng.random((*size, labels)) / 20
    unary = -np.log(likely).clip(-3, 0).transpose(2, 0, 1)
    return image.clip(0, 255).astype(np.uint8), unary.astype(np.float32)


def make_potts_cost(labels: int, weight: float) -> np.ndarray:
    return weight * (1 - np.eye(labels))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("size", "labels", "channels"), [((8, 8), 2, 3), ((5, 7), 3, 1), ((6, 5), 5, 3), ((1, 1), 2, 3)]
)
def test_equals_the_literal_lattice(backend: str, size: tuple[int, int], labels: int, channels: int) -> None:
    image, unary = draw_case(size, labels, channels)
    ours = DenseField(image, [NEAR, ALIKE], backend=backend).infer(unary, 5)
    widths = ((2, None), (9, 20))
    operators = [oracle.make_lattice_operator(oracle.scale_features(image, *each)) for each in widths]
    wanted = oracle.infer(unary, operators, [make_potts_cost(labels, weight) for weight in (3, 4)], 5)
    np.testing.assert_allclose(ours, wanted, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_label_compatibilities_equal_the_literal_ones(backend: str) -> None:
    image, unary = draw_case((6, 7), 3)
    vector = np.array([-3, -1, -2], np.float32)
    matrix = np.array([[0, 4, 1], [2, 0, 3], [1, 1, 0.5]], np.float32)
    field = DenseField(image, [Kernel((2, 3), vector), Kernel(9, matrix, (20, 15, 30))], backend=backend)
    narrow = oracle.scale_features(image, 2, None) * [1, 2 / 3]
    wide = oracle.scale_features(image, 9, 20) * [1, 1, 1, 20 / 15, 20 / 30]
    operators = [oracle.make_lattice_operator(features) for features in (narrow, wide)]
    wanted = oracle.infer(unary, operators, [np.diag(vector), (matrix + matrix.T) / 2], 4)
    np.testing.assert_allclose(field.infer(unary, 4), wanted, atol=1e-4)


def test_the_lattice_comes_near_all_pairs() -> None:
    image, unary = draw_case((12, 14), 3)
    ours = DenseField(image, [NEAR, ALIKE]).infer(unary, 5)
    operators = [oracle.make_exact_operator(oracle.scale_features(image, *each)) for each in ((2, None), (9, 20))]
    exact = oracle.infer(unary, operators, [make_potts_cost(3, weight) for weight in (3, 4)], 5)
    error = np.abs(ours - exact).mean()
    assert error < 0.05
    for kernel in (NEAR, ALIKE):  # the bound means something: without a term it is much worse
        assert np.abs(DenseField(image, [kernel]).infer(unary, 5) - exact).mean() > 2 * error


@pytest.mark.parametrize(("size", "labels"), [((61, 47), 2), ((40, 52), 3), ((33, 35), 5), ((30, 31), 21), ((1, 9), 2)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_equals_pydensecrf(backend: str, size: tuple[int, int], labels: int) -> None:
    peer = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf is the second opinion")
    image, unary = draw_case(size, labels)
    rng = np.random.default_rng(0)
    half = rng.random((labels, labels)).astype(np.float32)
    for compat in (10.0, -rng.random(labels).astype(np.float32) * 9, half, half + half.T):
        crf = peer.DenseCRF2D(size[1], size[0], labels)
        crf.setUnaryEnergy(unary.reshape(labels, -1).copy())
        crf.addPairwiseGaussian(sxy=(3, 3), compat=3.0)
        crf.addPairwiseBilateral(sxy=(50, 50), srgb=(5, 5, 5), rgbim=image, compat=compat)
        theirs = np.array(crf.inference(10)).reshape(unary.shape)
        ours = DenseField(image, [Kernel(3, 3), Kernel(50, compat, 5)], backend=backend).infer(unary)
        assert np.mean(ours.argmax(0) == theirs.argmax(0)) >= 0.9999
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_equals_pydensecrf_on_photographs(real_data) -> None:  # type: ignore[no-untyped-def]
    peer = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf is the second opinion")
    import cv2

    for path in sorted((real_data / "data" / "coco_mini").rglob("*.jpg"))[:2]:
        image = cv2.resize(cv2.imread(str(path)), (251, 187))
        _, unary = draw_case(image.shape[:2], 2)
        crf = peer.DenseCRF2D(251, 187, 2)
        crf.setUnaryEnergy(np.ascontiguousarray(unary.reshape(2, -1)))
        crf.addPairwiseGaussian(sxy=(3, 3), compat=3.0)
        crf.addPairwiseBilateral(sxy=(50, 50), srgb=(5, 5, 5), rgbim=image, compat=10.0)
        theirs = np.array(crf.inference(10)).reshape(unary.shape)
        ours = DenseField(image, [Kernel(3, 3), Kernel(50, 10, 5)]).infer(unary)
        assert np.mean(ours.argmax(0) == theirs.argmax(0)) >= 0.9999
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_compiled_and_numpy_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    if load_compiled("wsl.refine.crf.lattice_compiled") is None:
        pytest.skip("numba is not installed")
    image, unary = draw_case((70, 63), 4)
    compiled = DenseField(image, [NEAR, ALIKE]).infer(unary)
    monkeypatch.setenv("WSL_COMPILED", "0")
    plain = DenseField(image, [NEAR, ALIKE]).infer(unary)
    assert np.mean(compiled.argmax(0) == plain.argmax(0)) >= 0.9999
    np.testing.assert_allclose(compiled, plain, atol=1e-3)
    with pytest.raises(ConfigError, match="backend=compiled: numba is missing"):
        DenseField(image, [NEAR], backend="compiled")


@pytest.mark.parametrize("labels", [2, 3, 4, 5, 6, 8])
def test_any_number_of_labels(labels: int) -> None:
    """One, two and four planes are filtered at a time; blocks of 64 and 256 pixels are not full here."""
    image, unary = draw_case((23, 31), labels)
    found, wanted = (DenseField(image, [NEAR, ALIKE], backend=backend).infer(unary, 5) for backend in BACKENDS)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-6)


def test_early_stop_is_the_same_step_without_numba() -> None:
    image, unary = draw_case((23, 31), 3)
    fast, slow = (DenseField(image, [NEAR, ALIKE], backend=backend) for backend in BACKENDS)
    for labels in (2, 3):
        for tolerance in (0.03, 0.01, 0.003):
            stopped = fast.infer(unary[:labels], 50, tolerance=tolerance)
            np.testing.assert_allclose(stopped, slow.infer(unary[:labels], 50, tolerance=tolerance), atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_number_and_kind_of_channels(backend: str) -> None:
    """Bands that are copies of one another by a factor equal one band with a smaller width."""
    image, unary = draw_case((15, 17), 2, 1)
    grey = DenseField(image[..., 0], [Kernel(9, 4, 20)], backend=backend).infer(unary)
    deep = image[..., 0].astype(np.uint16) * 257
    np.testing.assert_allclose(
        DenseField(deep, [Kernel(9, 4, 20 * 257)], backend=backend).infer(unary), grey, atol=1e-4
    )
    for channels, size in ((5, (5, 6)), (14, (3, 3))):  # 14 do not fit a key of 62 bits
        many, unary = draw_case(size, 2, channels)
        field = DenseField(many.astype(np.float64), [Kernel(9, 4, 3)], backend=backend)
        features = oracle.scale_features(many, 9, 3)
        wanted = oracle.infer(unary, [oracle.make_lattice_operator(features)], [make_potts_cost(2, 4)], 3)
        np.testing.assert_allclose(field.infer(unary, 3), wanted, atol=2e-4)


def test_one_field_serves_many_threads_with_the_same_bytes() -> None:
    image, unary = draw_case((50, 60), 3)
    field = DenseField(image, [NEAR, ALIKE])
    unaries = [np.roll(unary, shift, axis=2)[: 2 + shift % 2] for shift in range(12)]
    wanted = [field.infer(each).tobytes() for each in unaries]
    with ThreadPoolExecutor(8) as pool:
        assert [each.tobytes() for each in pool.map(field.infer, unaries)] == wanted
        fresh = pool.map(lambda each: DenseField(image, [NEAR, ALIKE]).infer(each).tobytes(), unaries)
        assert list(fresh) == wanted


def test_labels_may_be_renamed() -> None:
    image, unary = draw_case((20, 30), 4)
    field, order = DenseField(image, [NEAR, ALIKE]), [2, 0, 3, 1]
    np.testing.assert_allclose(field.infer(unary[order]), field.infer(unary)[order], atol=1e-5)


def test_a_mirrored_image_gives_nearly_the_mirrored_result() -> None:
    """Not exactly: mirrored positions fall at other places of the lattice."""
    image, unary = draw_case((40, 60), 2)
    straight = DenseField(image, [NEAR, ALIKE]).infer(unary)
    mirrored = DenseField(image[:, ::-1], [NEAR, ALIKE]).infer(unary[:, :, ::-1])[:, :, ::-1]
    assert np.abs(straight - mirrored).mean() < 0.03
    assert np.mean(straight.argmax(0) == mirrored.argmax(0)) > 0.97


def test_only_present_labels_take_part() -> None:
    image, unary = draw_case((20, 30), 5)
    field = DenseField(image, [NEAR, Kernel(9, np.ones((5, 5)) - np.eye(5), 20)])
    some = field.infer(unary, present=[3, 1])
    small = DenseField(image, [NEAR, Kernel(9, [[0, 1], [1, 0]], 20)]).infer(unary[[1, 3]])
    np.testing.assert_array_equal(some[[1, 3]], small)
    assert not some[[0, 2, 4]].any()


def test_pruned_labels_are_the_improbable_ones() -> None:
    image, unary = draw_case((20, 30), 3)
    unary[1] = 50
    field = DenseField(image, [NEAR, ALIKE])
    np.testing.assert_array_equal(field.infer(unary, prune=0.2), field.infer(unary, present=[0, 2]))
    assert field.infer(np.zeros((3, 20, 30)), prune=0.9).any()


def test_tolerance_stops_early_and_zero_never_does() -> None:
    image, unary = draw_case((20, 30), 2)
    field = DenseField(image, [NEAR, ALIKE])
    steps = [field.infer(unary, count) for count in range(6)]
    moves = [np.abs(after - before).mean() for before, after in pairwise(steps)]
    assert moves[0] > moves[2] > 0
    np.testing.assert_array_equal(field.infer(unary, tolerance=float(moves[1] + moves[2]) / 2), steps[3])


def test_simple_ends() -> None:
    image, unary = draw_case((6, 7), 2)
    field = DenseField(image, [NEAR, ALIKE, Kernel(1, 0)])
    assert (field.infer(unary[:1]) == 1).all()
    wanted = oracle.softmax(-unary.astype(np.float64))
    np.testing.assert_allclose(field.infer(unary, 0), wanted, atol=1e-6)
    np.testing.assert_allclose(DenseField(image, []).infer(unary), wanted, atol=1e-6)
    np.testing.assert_allclose(DenseField(None, [NEAR], (6, 7)).infer(unary).sum(0), 1, atol=1e-5)


def test_arrays_of_any_layout_give_the_same() -> None:
    image, unary = draw_case((9, 12), 3)
    wanted = DenseField(image, [NEAR, ALIKE]).infer(unary)
    strided, turned = np.repeat(image, 2, axis=1)[:, ::2], np.asfortranarray(unary).astype(np.float64)
    for array in (strided, turned):
        array.setflags(write=False)
    np.testing.assert_array_equal(DenseField(strided, [NEAR, ALIKE]).infer(turned), wanted)
    np.testing.assert_array_equal(DenseField(image.astype(np.float64), [NEAR, ALIKE]).infer(unary), wanted)


def test_extreme_energies_stay_finite() -> None:
    image, unary = draw_case((9, 12), 3)
    unary[0], unary[1] = 1e30, -1e30
    for backend in BACKENDS:
        result = DenseField(image, [NEAR, ALIKE], backend=backend).infer(unary)
        np.testing.assert_allclose(result[1], 1, atol=1e-6)
        turned = DenseField(image, [NEAR, ALIKE], backend=backend).infer(unary[[2, 1, 0]] * 1e8)
        np.testing.assert_allclose(turned[1], 1, atol=1e-6)


def test_bad_input() -> None:
    image, unary = draw_case((6, 7), 2)
    field = DenseField(image, [NEAR])
    broken = unary.copy()
    broken[1, 2, 3] = np.nan
    for bad in (broken, np.full_like(unary, np.inf), unary[:, :5], unary[0], unary[:0], unary.astype(complex)):
        with pytest.raises(DataError, match="unary: expected"):
            field.infer(bad)
    for bad in (image[:0], image[0, 0], image.astype(complex), np.full(image.shape, np.nan)):
        with pytest.raises(DataError, match="features: expected"):
            DenseField(bad, [ALIKE])
    for present in ([], [2], [-1]):
        with pytest.raises(DataError, match="present: expected"):
            field.infer(unary, present=present)
    with pytest.raises(DataError, match=r"size: expected \(6, 7\)"):
        DenseField(image, [NEAR], (7, 6))
    with pytest.raises(DataError, match="size: expected"):
        DenseField(None, [NEAR])
    with pytest.raises(DataError, match="compat: expected 2 labels"):
        DenseField(image, [Kernel(2, np.ones(3))]).infer(unary)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"iterations": -1}, "iterations"), ({"iterations": 1.5}, "iterations"), ({"tolerance": np.nan}, "tolerance"),
     ({"prune": 1.5}, "prune")],
)  # fmt: skip
def test_bad_options(options: dict[str, float], message: str) -> None:
    image, unary = draw_case((6, 7), 2)
    with pytest.raises(ConfigError, match=f"{message}: expected"):
        DenseField(image, [NEAR]).infer(unary, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("sxy", [0, -1, np.nan, np.inf, (1, 2, 3), "wide", ()])
def test_bad_widths(sxy: object) -> None:
    with pytest.raises(ConfigError, match="sxy: expected"):
        Kernel(sxy)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="compat: expected"):
        Kernel(1, np.ones((2, 3)))


def test_too_narrow_kernels_are_named() -> None:
    image, _ = draw_case((6, 7), 2)
    with pytest.raises(ConfigError, match="sxy is too small"):
        DenseField(image, [Kernel(1e-4, 1)])
    with pytest.raises(ConfigError, match="schan is too small"):
        DenseField(image, [Kernel(5, 1, 1e-3)])
    with pytest.raises(ConfigError, match="schan: expected 1 or 3 widths"):
        DenseField(image, [Kernel(5, 1, (1, 2))])
    with pytest.raises(ConfigError, match="expected auto, compiled or numpy"):
        DenseField(image, [NEAR], backend="cuda")


def test_memory_of_a_field_is_not_shared_while_it_lives() -> None:
    """Lattices take the memory of fields that are gone, never of others."""
    images = [RANDOM.integers(0, 256, (30, 40, 3), dtype=np.uint8) for _ in range(4)]
    unary = RANDOM.random((2, 30, 40), dtype=np.float32)
    kernels = [Kernel(3, 3), Kernel(20, 10, 5)]
    alone = [DenseField(image, kernels).infer(unary) for image in images]
    together = [DenseField(image, kernels) for image in images]
    for field, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(field.infer(unary), expected)
    del together[::2]
    again = DenseField(images[0], kernels)
    np.testing.assert_array_equal(together[0].infer(unary), alone[1])
    np.testing.assert_array_equal(again.infer(unary), alone[0])
