"""The transition of a walk as a sparse matrix, for machines without a compiler and for torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsl.refine.walk.stencil import LEAST_WEIGHT, Stencil

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def build_matrix(stencil: Stencil) -> csr_matrix:
    """float64 (L, L), CSR, rows sorted: transposed P, whose rows sum to 1 for cells and are empty for the margin.

    Row i gives the shares of the cells that cell i is averaged from.
    """
    from scipy.sparse import coo_matrix

    length = stencil.weights.shape[1]
    planes, sources = np.nonzero(stencil.weights)
    targets, weights = sources + stencil.shifts[planes], stencil.weights[planes, sources]
    cells = np.flatnonzero(stencil.inverse)
    rows = np.concatenate([sources, targets, cells])
    columns = np.concatenate([targets, sources, cells])
    values = np.concatenate([weights, weights, np.ones(len(cells))]).astype(np.float64)
    matrix = coo_matrix((values, (rows, columns)), shape=(length, length)).tocsr()
    matrix.sort_indices()
    sums = np.maximum(matrix.sum(axis=1).A1, LEAST_WEIGHT)
    matrix.data /= np.repeat(sums, np.diff(matrix.indptr))  # float64: rounding errors would add up over the steps
    return matrix
