"""A dense CRF over one image: lattices once, mean field for any number of unaries."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError
from wsl.refine.crf.kernels import Floats, Kernel, compute_kernel_features
from wsl.refine.crf.lattice import Lattice, build_lattice, build_position_lattice, find_loops
from wsl.refine.crf.mean_field import Term, compute_softmax, run_mean_field
from wsl.refine.crf.scratch import WordPool


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
        self._memory = WordPool()
        # the lattices are nobody else's, so their memory is free when the field is gone
        weakref.finalize(self, self._memory.close)
        bands = None if features is None else check_features(features)
        self.size = _agree_on_size(bands, size)
        self._terms = tuple((kernel, self._build(kernel, bands)) for kernel in kernels if not kernel.is_idle)

    def _build(self, kernel: Kernel, bands: NDArray[Any] | None) -> Lattice:
        sxy: Any = kernel.sxy
        if kernel.schan is None:
            return build_position_lattice(self.size, sxy, self._loops)
        return build_lattice(compute_kernel_features(kernel, self.size, bands), self._loops, self._memory)

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
        Raises DataError for another shape, NaN or inf in labels that take part, and labels that are not there;
        ConfigError for bad options.
        """
        self._check_shape(unary)
        _check_options(iterations, tolerance, prune)
        labels = len(unary)
        chosen = choose_present(labels, present)
        energies = to_energies(unary if len(chosen) == labels else unary[chosen])
        if prune > 0:
            kept = find_likely(energies, prune)
            chosen, energies = chosen[kept], energies[kept]
        found = self._infer(energies, chosen, labels, iterations, tolerance)
        if len(chosen) == labels:
            return found.reshape(-1, *self.size)
        result = np.zeros((labels, found.shape[1]), np.float32)
        result[chosen] = found
        return result.reshape(-1, *self.size)

    def _infer(
        self, energies: Floats, chosen: NDArray[np.intp], labels: int, iterations: int, tolerance: float
    ) -> Floats:
        if len(energies) == 1:
            return np.ones_like(energies)
        terms = [Term(lattice, find_gain(kernel, labels, chosen)) for kernel, lattice in self._terms]
        return run_mean_field(energies, terms, iterations if terms else 0, tolerance, self._loops)

    def _check_shape(self, unary: NDArray[Any]) -> None:
        if unary.ndim != 3 or len(unary) == 0 or unary.shape[1:] != self.size or not _is_real(unary):
            raise DataError(
                f"unary: expected real (L, {self.size[0]}, {self.size[1]}) with L >= 1, but got {unary.dtype} "
                f"{unary.shape}."
            )


def to_energies(unary: NDArray[Any]) -> Floats:
    """float32 (L, H * W), contiguous; DataError unless all are finite."""
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


def choose_present(labels: int, present: Sequence[int] | None) -> NDArray[np.intp]:
    """Ascending row numbers of the labels that take part; see `DenseField.infer`."""
    chosen = np.arange(labels) if present is None else np.unique(np.asarray(present, np.intp))
    if len(chosen) == 0 or chosen[0] < 0 or chosen[-1] >= labels:
        raise DataError(f"present: expected some of the labels 0..{labels - 1}, but got {present}.")
    return chosen


def find_likely(energies: Floats, prune: float) -> NDArray[np.intp]:
    """Rows whose initial probability reaches `prune` somewhere; the likeliest row at least."""
    peaks = compute_softmax(-energies).max(axis=1)
    return np.flatnonzero(peaks >= min(prune, peaks.max()))


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
