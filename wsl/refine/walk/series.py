"""x^steps as a short Chebyshev series: what many steps of a walk do, with far fewer products."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


@functools.cache
def chebyshev_coefficients(steps: int, tolerance: float) -> NDArray[np.float32]:
    """Coefficients c of sum over k of c_k T_k(x), which is x^steps within `tolerance` for all x in [-1, 1].

    x^n = 2^(1-n) * sum of C(n, (n-k)/2) T_k(x) over k = n, n-2, ...; the term of k = 0 counts half. All are positive
    and sum to 1, so the error is at most the sum of those left out: about 2 exp(-k^2 / 2n), which leaves k = 87 for
    256 steps and 1e-7 (Sachdeva and Vishnoi 2014, theorem 3.3). Those kept are scaled to sum to 1 again, so that a
    constant stays. Read-only.
    """
    kept = np.zeros(steps + 1)
    order = steps % 2
    while order <= steps:
        log_share = math.lgamma(steps + 1) - math.lgamma((steps - order) / 2 + 1) - math.lgamma((steps + order) / 2 + 1)
        kept[order] = math.exp(log_share - steps * math.log(2)) * (1 if order == 0 else 2)
        if 1 - kept.sum() <= tolerance / 2:  # scaling the rest adds as much error again
            break
        order += 2
    coefficients = (kept / kept.sum())[: order + 1].astype(np.float32)
    coefficients.flags.writeable = False
    return coefficients


def apply_series(step: Callable[[Any], Any], vectors: Any, coefficients: NDArray[np.float32]) -> Any:
    """sum over k of c_k T_k(P) vectors, for anything that adds and scales; `step` gives P vectors."""
    previous, current = vectors, step(vectors)
    result = float(coefficients[0]) * previous
    for order in range(1, len(coefficients)):
        if coefficients[order] > 0:
            result = result + float(coefficients[order]) * current
        if order + 1 < len(coefficients):
            previous, current = current, 2 * step(current) - previous
    return result


def apply_steps(step: Callable[[Any], Any], vectors: Any, steps: int) -> Any:
    """P^steps vectors, one step after the other."""
    for _ in range(steps):
        vectors = step(vectors)
    return vectors
