"""The dense CRF of pydensecrf behind the interface of ours, with checks for what would end the interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError, MissingExtraError
from wsl.refine.crf.field import check_features
from wsl.refine.crf.kernels import Floats, Kernel, compute_kernel_features

# It counts lattice corners in 32-bit integers and keeps their coordinates in 16-bit ones, and notices neither overflow.
MOST_CORNERS = 2**31 - 1
LARGEST_COORDINATE = 32000.0


class PydensecrfField:
    """As `DenseField`, computed by pydensecrf: the lattices are built again for each call, and the GIL is held.

    features: real (H, W) or (H, W, C), finite. kernels: those with compat 0 are left out.
    Raises MissingExtraError without the package, DataError or ConfigError for what it cannot take.
    """

    def __init__(self, features: NDArray[Any], kernels: Sequence[Kernel]) -> None:
        self._backend = _load_backend()
        bands = check_features(features)
        self.size = (bands.shape[0], bands.shape[1])
        self._kernels = [kernel for kernel in kernels if not kernel.is_idle]
        self._features = [compute_kernel_features(kernel, self.size, bands) for kernel in self._kernels]
        for kernel, own in zip(self._kernels, self._features, strict=True):
            check_coordinates(own, kernel)

    def infer(self, unary: NDArray[Any], iterations: int = 10) -> Floats:
        """Mean field Q float32 (L, H, W) of energies (L, H, W), any real dtype and strides. One label gives ones."""
        if unary.ndim != 3 or unary.shape[1:] != self.size or len(unary) == 0 or not np.isfinite(unary).all():
            raise DataError(f"unary: expected finite (L, {self.size[0]}, {self.size[1]}), but got {unary.shape}.")
        labels, pixels = len(unary), self.size[0] * self.size[1]
        check_size(self.size, labels)
        if labels == 1:
            return np.ones(unary.shape, np.float32)
        field = self._backend.DenseCRF(pixels, labels)
        # A copy of its own: it refuses read-only, strided and float64 arrays, and it keeps a reference.
        field.setUnaryEnergy(np.array(unary.reshape(labels, -1), np.float32, order="C"))
        for kernel, features in zip(self._kernels, self._features, strict=True):
            field.addPairwiseEnergy(features.copy(), compat=_find_compat(kernel, labels))
        result = np.array(field.inference(iterations), np.float32).reshape(unary.shape)
        return np.ascontiguousarray(result)


def check_size(size: tuple[int, int], labels: int) -> None:
    """Raises DataError where pydensecrf would overflow. size: (height, width)."""
    height, width = size
    if height * width * max(labels, 6) > MOST_CORNERS:
        raise DataError(f"dense_crf: an image of {height}x{width} with {labels} labels is too large; set refine.tile.")


def check_coordinates(features: Floats, kernel: Kernel) -> None:
    """Raises ConfigError where a lattice coordinate would pass 16 bits. features: (d, N), divided by their widths."""
    largest = compute_largest_coordinate(tuple(np.abs(features).max(axis=1).tolist()))
    if largest > LARGEST_COORDINATE:
        raise ConfigError(
            f"sxy={kernel.sxy}, schan={kernel.schan}: too small for this image (lattice coordinates up to "
            f"{largest:.0f}, {LARGEST_COORDINATE:.0f} at most); use larger values."
        )


def compute_largest_coordinate(extents: tuple[float, ...]) -> float:
    """Upper bound of the lattice coordinates for features in [-extents[i], extents[i]] (Adams et al. 2010)."""
    dimension = len(extents)
    steps = np.arange(1, dimension + 1)
    scaled = np.asarray(extents) * (dimension + 1) * np.sqrt(2 / 3) / np.sqrt(steps * (steps + 1))
    return float(max(scaled.sum(), (scaled * steps).max() + scaled.sum()) + dimension + 1)


def _find_compat(kernel: Kernel, labels: int) -> Any:
    kernel.compute_gain(labels)  # it takes a vector of the wrong length without a word
    return float(np.asarray(kernel.compat)) if kernel.is_potts else np.array(kernel.compat, np.float32)


def _load_backend() -> Any:
    try:
        import pydensecrf.densecrf as backend
    except ImportError:
        raise MissingExtraError("refine.backend=pydensecrf", "pydensecrf2", "crf", "set refine.backend=auto") from None
    return backend
