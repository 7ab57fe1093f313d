"""A dense CRF over one image: lattices once, mean field for any number of unaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError
from wsl.refine.crf.kernels import Floats, Kernel, compute_kernel_features
from wsl.refine.crf.lattice import Lattice, build_lattice, build_position_lattice, find_loops
from wsl.refine.crf.mean_field import Term, compute_softmax, run_mean_field


class DenseField:
    """Fully connected CRF (Kraehenbuehl and Koltun 2011), with the semantics of pydensecrf: unit diagonal kernels,
    symmetric normalisation, lattices that hold the zero vector where H * W is no multiple of 4.

    features: real (H, W) or (H, W, C) of any dtype, strides and number of channels, finite; None when all kernels
    look at positions only, and then `size` (height, width) says how large the image is. kernels: those with compat 0
    are left out. backend: `auto` (compiled with numba where it is there), `compiled` or `numpy`; results agree to
    rounding. Lattices of positions are shared between images of one size.
    A field is not changed by its use: any number of threads may call `infer` at once, each with its own unary.
    Raises DataError for bad features, ConfigError for widths that are too small for the image or do not fit it.
    """

    def __init__(
        self,
        features: NDArray[Any] | None,
        kernels: Sequence[Kernel],
        size: tuple[int, int] | None = None,
        backend: str = "auto",
    ) -> None:
        self._loops = find_loops(backend)
        bands = None if features is None else check_features(features)
        self.size = _agree_on_size(bands, size)
        self._terms = tuple((kernel, self._build(kernel, bands)) for kernel in kernels if not kernel.is_idle)

    def _build(self, kernel: Kernel, bands: NDArray[Any] | None) -> Lattice:
        sxy: Any = kernel.sxy
        if kernel.schan is None:
            return build_position_lattice(self.size, sxy, self._loops)
        return build_lattice(compute_kernel_features(kernel, self.size, bands), self._loops)

    def infer(
        self,
        unary: NDArray[Any],
        iterations: int = 10,
        *,
        tolerance: float = 0.0,
        present: Sequence[int] | None = None,
        prune: float = 0.0,
    ) -> Floats:
        """Mean field Q float32 (L, H, W), which sums to 1 over the labels, of the energies `unary` (L, H, W).

        unary: floating or whole numbers, finite, L >= 1; one label gives ones. iterations: steps from softmax(-unary),
        0 or more. tolerance: stop when the mean |dQ| of a step is below it (0 = never; it changes labels).
        present: only these labels take part (row numbers), prune: only labels whose initial probability reaches it
        somewhere (0 = all; it changes labels); the others get Q = 0.
        Raises DataError for another shape, NaN or inf, and labels that are not there; ConfigError for bad options.
        """
        energies = self._check_unary(unary)
        _check_options(iterations, tolerance, prune)
        chosen = choose_labels(energies, present, prune)
        result = np.zeros(energies.shape, np.float32)
        if len(chosen) == len(energies):
            result = self._infer(energies, chosen, len(energies), iterations, tolerance)
        else:
            result[chosen] = self._infer(energies[chosen], chosen, len(energies), iterations, tolerance)
        return result.reshape(-1, *self.size)

    def _infer(
        self, energies: Floats, chosen: NDArray[np.intp], labels: int, iterations: int, tolerance: float
    ) -> Floats:
        if len(energies) == 1:
            return np.ones_like(energies)
        terms = [Term(lattice, find_gain(kernel, labels, chosen)) for kernel, lattice in self._terms]
        return run_mean_field(energies, terms, iterations if terms else 0, tolerance, self._loops)

    def _check_unary(self, unary: NDArray[Any]) -> Floats:
        """float32 (L, H * W), contiguous."""
        if unary.ndim != 3 or len(unary) == 0 or unary.shape[1:] != self.size or not _is_real(unary):
            raise DataError(
                f"unary: expected real (L, {self.size[0]}, {self.size[1]}) with L >= 1, but got {unary.dtype} "
                f"{unary.shape}."
            )
        with np.errstate(over="ignore"):
            energies = np.ascontiguousarray(unary, np.float32).reshape(len(unary), -1)
        _check_finite(energies, "unary")
        return energies


def check_features(features: NDArray[Any]) -> NDArray[Any]:
    """Features as (H, W, C). Raises DataError unless they are real (H, W) or (H, W, C), finite and not empty."""
    if features.ndim not in (2, 3) or features.size == 0 or not _is_real(features):
        raise DataError(f"features: expected real (H, W) or (H, W, C), but got {features.dtype} {features.shape}.")
    if np.issubdtype(features.dtype, np.floating):
        _check_finite(features, "features")
    return features[..., None] if features.ndim == 2 else features


def choose_labels(energies: Floats, present: Sequence[int] | None, prune: float) -> NDArray[np.intp]:
    """Ascending row numbers of the labels that take part; see `DenseField.infer`."""
    labels = len(energies)
    chosen = np.arange(labels) if present is None else np.unique(np.asarray(present, np.intp))
    if len(chosen) == 0 or chosen[0] < 0 or chosen[-1] >= labels:
        raise DataError(f"present: expected some of the labels 0..{labels - 1}, but got {present}.")
    if prune > 0:
        peaks = compute_softmax(-energies[chosen]).max(axis=1)
        chosen = chosen[peaks >= min(prune, peaks.max())]
    return chosen


def find_gain(kernel: Kernel, labels: int, chosen: NDArray[np.intp]) -> float | Floats:
    """A `Term`'s gain for the chosen ones of `labels`."""
    if kernel.is_potts:
        return float(np.asarray(kernel.compat))
    return kernel.compute_gain(labels)[np.ix_(chosen, chosen)]


def _agree_on_size(bands: NDArray[Any] | None, size: tuple[int, int] | None) -> tuple[int, int]:
    if bands is None and (size is None or min(size) < 1):
        raise DataError(f"size: expected (height, width) of at least 1x1 where there are no features, but got {size}.")
    found = size if bands is None else (bands.shape[0], bands.shape[1])
    if found is None or (size is not None and tuple(size) != found):
        raise DataError(f"size: expected {found} as the features have, but got {size}.")
    return found[0], found[1]


def _check_options(iterations: int, tolerance: float, prune: float) -> None:
    if not isinstance(iterations, (int, np.integer)) or iterations < 0:
        raise ConfigError(f"iterations: expected a whole number of at least 0, but got {iterations}.")
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise ConfigError(f"tolerance: expected a number of at least 0, but got {tolerance}.")
    if not 0 <= prune <= 1:
        raise ConfigError(f"prune: expected a probability, but got {prune}.")


def _is_real(values: NDArray[Any]) -> bool:
    return np.issubdtype(values.dtype, np.number) and not np.issubdtype(values.dtype, np.complexfloating)


def _check_finite(values: NDArray[Any], name: str) -> None:
    if not np.isfinite(values).all():
        raise DataError(f"{name}: expected finite values, but {int((~np.isfinite(values)).sum())} are NaN or inf.")
