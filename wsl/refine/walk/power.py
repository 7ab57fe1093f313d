"""The walk itself: v P^steps for many vectors at once, P = A^beta divided by its column sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_scores
from wsl.compiled import load_compiled
from wsl.errors import ConfigError, DataError
from wsl.refine.walk.affinity import Affinity
from wsl.refine.walk.series import apply_series, apply_steps, chebyshev_coefficients
from wsl.refine.walk.sparse import build_matrix
from wsl.refine.walk.stencil import Stencil, build_stencil

TOLERANCE = 1e-7


def walk(
    vectors: NDArray[Any], affinity: Affinity, beta: float = 10, steps: int = 256, tolerance: float = TOLERANCE
) -> NDArray[np.float32]:
    """v P^steps for every plane v, P = A^beta (each element) / sums of its columns: float32 (K, h, w).

    vectors: floating (K, h, w), finite, >= 0, K >= 0: classes, instances, or both. Every result is a weighted mean of
    its surroundings, so a constant stays. beta > 0. steps: AffinityNet's and IRN's 2^8.
    tolerance: 0 takes all the steps; above 0 their power is taken as a series that differs from it by less than that
    for every eigenvalue of P (in the norm weighted by the column sums, times that of v), in about sqrt(2 steps
    ln(2 / tolerance)) products. In float32 either is within 1e-5 of the dense
    power at 256 steps, for values up to 1.
    Memory: 4 bytes for each pair of neighbours (1.7 MB for radius 5 on 94x125). Raises DataError for other vectors,
    ConfigError for other numbers.
    """
    check_walk(vectors, affinity, beta, steps, tolerance)
    values = np.asarray(vectors, np.float32)
    if not len(values) or not steps:
        return values.copy()
    stencil = build_stencil(affinity, beta)
    coefficients = chebyshev_coefficients(steps, tolerance) if tolerance > 0 else None
    result = stencil.take_back(_run(stencil, stencil.lay_out(values), steps, coefficients))
    return np.maximum(result, 0, out=result)  # the series may pass 0 by its error


def check_walk(vectors: NDArray[Any], affinity: Affinity, beta: float, steps: int, tolerance: float) -> None:
    """Raises DataError or ConfigError for what `walk` does not take."""
    check_scores(vectors, "vectors")
    if vectors.shape[1:] != affinity.size:
        raise DataError(f"vectors: expected (K, {affinity.size[0]}, {affinity.size[1]}), but got {vectors.shape}.")
    if vectors.size and vectors.min() < 0:
        raise DataError(f"vectors: expected values of at least 0, but got {vectors.min():g}.")
    if not (np.isfinite(beta) and beta > 0):
        raise ConfigError(f"beta: expected a number above 0, but got {beta}.")
    if not isinstance(steps, int) or steps < 0:
        raise ConfigError(f"steps: expected a whole number of at least 0, but got {steps}.")
    if not 0 <= tolerance < 1:
        raise ConfigError(f"tolerance: expected a number of at least 0 and below 1, but got {tolerance}.")


def _run(
    stencil: Stencil, line: NDArray[np.float32], steps: int, coefficients: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    compiled = load_compiled("wsl.refine.walk.power_compiled")
    if compiled is None:
        matrix = build_matrix(stencil)
        columns = np.ascontiguousarray(line.T, np.float64)
        if coefficients is None:
            return apply_steps(matrix.__matmul__, columns, steps).T.astype(np.float32)
        return apply_series(matrix.__matmul__, columns, coefficients).T.astype(np.float32)
    span = (stencil.span.start, stencil.span.stop)
    given = (stencil.weights, stencil.inverse, stencil.shifts, span, line)
    return compiled.run_steps(*given, steps) if coefficients is None else compiled.run_series(*given, coefficients)
