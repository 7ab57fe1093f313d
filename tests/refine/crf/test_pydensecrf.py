"""What pydensecrf dies of or answers with rubbish, and what ours makes of the same input."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from wsl.errors import ConfigError, DataError, MissingExtraError
from wsl.refine.crf import DenseField, Kernel
from wsl.refine.crf.pydensecrf_field import PydensecrfField, check_size, compute_largest_coordinate

SIZE = (10, 12)
KERNELS = (Kernel(3, 3), Kernel(20, 10, 12))


@pytest.fixture(name="peer")
def load_peer() -> object:
    return pytest.importorskip("pydensecrf.densecrf", reason="PYDENSECRF MISSING: pip install 'wsl[crf]'")


def make_image(size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


def make_unary(labels: int = 2, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(labels).random((labels, *size)).astype(np.float32)


FIELDS = (PydensecrfField, DenseField)


@pytest.mark.parametrize("field", FIELDS)
def test_one_nan_poisons_all_of_it_and_ours_says_so(peer: object, field: type) -> None:
    unary = make_unary()
    unary[0, 4, 5] = np.nan
    theirs = peer.DenseCRF2D(12, 10, 2)  # type: ignore[attr-defined]
    theirs.setUnaryEnergy(unary.reshape(2, -1))
    theirs.addPairwiseGaussian(sxy=3, compat=3)
    assert np.isnan(np.array(theirs.inference(5))).mean() > 0.5
    with pytest.raises(DataError, match="unary: expected finite"):
        field(make_image(), KERNELS).infer(unary)


@pytest.mark.parametrize("field", FIELDS)
def test_swapped_sizes_pass_there_and_not_here(peer: object, field: type) -> None:
    theirs = peer.DenseCRF2D(10, 12, 2)  # type: ignore[attr-defined]
    theirs.setUnaryEnergy(make_unary().reshape(2, -1))
    theirs.addPairwiseGaussian(sxy=3, compat=3)
    assert np.isfinite(np.array(theirs.inference(5))).all()
    with pytest.raises(DataError, match=r"unary: expected .*\(L, 10, 12\)"):
        field(make_image(), KERNELS).infer(make_unary(2, (12, 10)))


def make_read_only(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy.setflags(write=False)
    return copy


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "float64": lambda array: array.astype(np.float64),
    "strided": lambda array: np.repeat(array, 2, 1)[:, ::2],
    "read-only": make_read_only,
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("kind", sorted(CHANGES))
def test_arrays_that_it_refuses_are_taken(peer: object, field: type, kind: str) -> None:
    unary, image, change = make_unary(), make_image(), CHANGES[kind]
    theirs = peer.DenseCRF2D(12, 10, 2)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"contiguous|mismatch|read-only"):
        theirs.addPairwiseBilateral(sxy=20, srgb=12, rgbim=change(image), compat=10)
    with pytest.raises(ValueError, match=r"contiguous|mismatch|read-only"):
        theirs.setUnaryEnergy(change(unary.reshape(2, -1)))
    wanted = field(image, KERNELS).infer(unary)
    np.testing.assert_allclose(field(change(image), KERNELS).infer(change(unary)), wanted, atol=1e-5)


@pytest.mark.parametrize("field", FIELDS)
def test_one_label_is_all_ones_and_none_is_refused(peer: object, field: type) -> None:
    np.testing.assert_array_equal(field(make_image(), KERNELS).infer(make_unary(1)), np.ones((1, *SIZE)))
    with pytest.raises(DataError, match="unary"):
        field(make_image(), KERNELS).infer(make_unary(2)[:0])


@pytest.mark.parametrize("field", FIELDS)
def test_many_labels_work(peer: object, field: type) -> None:
    result = field(make_image(), KERNELS).infer(make_unary(255))
    np.testing.assert_allclose(result.sum(0), 1, atol=1e-4)


@pytest.mark.parametrize("field", FIELDS)
def test_compat_of_the_wrong_length_passes_there_and_not_here(peer: object, field: type) -> None:
    with pytest.raises(DataError, match="compat: expected 2 labels"):
        field(make_image(), [Kernel(3, np.ones(3))]).infer(make_unary(2))


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("widths", [(0, 12), (20, 0), (-1, 12), (np.nan, 12), (20, 1e-4), (1e-4, 12)])
def test_widths_that_end_its_interpreter_are_refused(peer: object, field: type, widths: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=r"sxy|schan"):
        field(make_image(), [Kernel(widths[0], 3, widths[1])])


def test_a_width_of_zero_ends_its_interpreter(peer: object) -> None:
    code = (
        "import numpy as np, pydensecrf.densecrf as d; c = d.DenseCRF2D(12, 10, 2); "
        "c.setUnaryEnergy(np.zeros((2, 120), np.float32)); c.addPairwiseGaussian(sxy=0, compat=3); "
        "q = np.array(c.inference(5)); raise SystemExit(0 if np.isfinite(q).all() else 3)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert ended.returncode != 0


def test_huge_images_are_refused_before_it_aborts() -> None:
    with pytest.raises(DataError, match=r"30000x30000 with 2 labels is too large; set refine\.tile"):
        check_size((30000, 30000), 2)
    check_size((3000, 4000), 21)


def test_largest_coordinate_by_hand() -> None:
    # d = 1: the scale is 2 * sqrt(2/3) / sqrt(2); coordinates are +-that times the feature, d + 1 more for the blur.
    assert compute_largest_coordinate((10.0,)) >= 10 * 2 * np.sqrt(1 / 3) + 2


def test_missing_package_names_two_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'wsl\[crf\]', or set refine.backend=auto"):
        PydensecrfField(make_image(), KERNELS)
