"""Affinity by how much the features or colours of two cells differ (AffinityNet, Ahn and Kwak 2018, equation 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.compiled import load_compiled
from wsl.errors import ConfigError, DataError
from wsl.refine.walk.affinity import Affinity
from wsl.refine.walk.offsets import list_half_offsets, move_window, source_window


def compute_feature_affinity(features: NDArray[Any], radius: int = 5) -> Affinity:
    """A_ij = exp(-mean over channels of |f_i - f_j|).

    features: numbers (C, h, w), finite, any scale (AffinityNet's 448 channels at stride 8 are trained for it).
    Raises DataError for others.
    """
    _check_features(features)
    differences = _sum_differences(np.asarray(features, np.float32), radius)
    return _exponentiate(differences, len(features), radius)


def compute_colour_affinity(features: NDArray[Any], radius: int = 5, sigma: float = 30.0) -> Affinity:
    """A_ij = exp(-mean over channels of (f_i - f_j)^2 / (2 sigma^2)).

    features: numbers (C, h, w), finite: grey, RGB or any bands, on the scale of 0..255. sigma > 0, in grey levels;
    a walk with `beta` acts as if it were sigma / sqrt(beta). Raises DataError, or ConfigError for another sigma.
    """
    _check_features(features)
    if not (np.isfinite(sigma) and sigma > 0):
        raise ConfigError(f"sigma: expected a number above 0, but got {sigma}.")
    scaled = np.asarray(features, np.float32) / np.float32(sigma * np.sqrt(2))
    offsets = list_half_offsets(radius)
    differences = np.zeros((len(offsets), *scaled.shape[1:]), np.float32)
    for channel in scaled:
        for plane, offset in zip(differences, offsets, strict=True):
            window = source_window(offset, channel.shape)
            plane[window] += (channel[window] - channel[move_window(window, offset)]) ** 2
    return _exponentiate(differences, len(scaled), radius)


def _check_features(features: NDArray[Any]) -> None:
    if features.ndim != 3 or features.size == 0:
        raise DataError(f"features: expected (C, h, w) with at least one channel and cell, but got {features.shape}.")
    if not np.isfinite(features).all():
        raise DataError(f"features: expected finite numbers, but {int((~np.isfinite(features)).sum())} are NaN or inf.")


def _exponentiate(differences: NDArray[np.float32], channels: int, radius: int) -> Affinity:
    values = np.zeros_like(differences)
    for plane, total, offset in zip(values, differences, list_half_offsets(radius), strict=True):
        window = source_window(offset, plane.shape)
        plane[window] = np.exp(total[window] / np.float32(-channels))
    return Affinity(values, radius)


def _sum_differences(features: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """float32 (M, h, w): sum over channels of |f_i - f_j| where the neighbour is in the grid, else 0."""
    offsets = list_half_offsets(radius)
    compiled = load_compiled("wsl.refine.walk.features_compiled")
    if compiled is not None:
        steps = np.array(offsets, np.int64).reshape(-1, 2)
        return compiled.sum_differences(np.ascontiguousarray(np.moveaxis(features, 0, -1)), steps)
    sums = np.zeros((len(offsets), *features.shape[1:]), np.float32)
    for plane, offset in zip(sums, offsets, strict=True):
        rows, columns = window = source_window(offset, plane.shape)
        there = move_window(window, offset)
        plane[window] = np.abs(features[:, rows, columns] - features[:, there[0], there[1]]).sum(axis=0)
    return sums
