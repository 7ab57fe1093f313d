"""The walk on any torch device, several images at once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError
from wsl.refine.walk.affinity import Affinity
from wsl.refine.walk.power import TOLERANCE, check_walk
from wsl.refine.walk.series import apply_series, apply_steps, chebyshev_coefficients
from wsl.refine.walk.sparse import build_matrix
from wsl.refine.walk.stencil import build_stencil

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix


def walk_torch(
    vectors: Sequence[NDArray[Any]],
    affinities: Sequence[Affinity],
    beta: float = 10,
    steps: int = 256,
    tolerance: float = TOLERANCE,
    device: str = "cpu",
) -> list[NDArray[np.float32]]:
    """`walk` for several images at once, as one sparse matrix on `device`; the same values within float32.

    vectors[i]: floating (K_i, h_i, w_i) for affinities[i]; the numbers of planes and the grids may differ. Raises what
    `walk` raises, and DataError when the lengths differ.
    """
    import torch
    from scipy.sparse import block_diag

    if len(vectors) != len(affinities):
        raise DataError(f"vectors: expected {len(affinities)}, one for each affinity, but got {len(vectors)}.")
    for planes, affinity in zip(vectors, affinities, strict=True):
        check_walk(planes, affinity, beta, steps, tolerance)
    if not vectors or not steps:
        return [np.array(planes, np.float32) for planes in vectors]
    stencils = [build_stencil(affinity, beta) for affinity in affinities]
    lines = [stencil.lay_out(planes) for stencil, planes in zip(stencils, vectors, strict=True)]
    matrix = _to_torch(block_diag([build_matrix(stencil) for stencil in stencils], "csr"), device)
    columns = torch.from_numpy(_stack_lines(lines)).to(_choose_dtype(device)).to(device)
    if tolerance > 0:
        result = apply_series(matrix.__matmul__, columns, chebyshev_coefficients(steps, tolerance))
    else:
        result = apply_steps(matrix.__matmul__, columns, steps)
    ends = np.cumsum([line.shape[1] for line in lines])
    parts = np.split(result.clamp_(min=0).cpu().to(torch.float32).numpy(), ends[:-1])
    return [
        stencil.take_back(np.ascontiguousarray(part.T[: len(line)]))
        for stencil, part, line in zip(stencils, parts, lines, strict=True)
    ]


def _choose_dtype(device: str) -> torch.dtype:
    """float64, in which rounding errors do not add up over the steps, except where the device has none."""
    import torch

    return torch.float32 if device.startswith("mps") else torch.float64


def _to_torch(matrix: csr_matrix, device: str) -> torch.Tensor:
    import torch

    # torch's other sparse form is fifteen times slower on the CPU.
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    rows, columns = (torch.from_numpy(each).to(device) for each in (matrix.indptr, matrix.indices))
    values = torch.from_numpy(matrix.data).to(_choose_dtype(device)).to(device)
    return torch.sparse_csr_tensor(rows, columns, values, matrix.shape, device=device, check_invariants=False)


def _stack_lines(lines: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """float32 (sum of L_i, max K_i), 0 where an image has fewer planes."""
    planes = max(len(line) for line in lines)
    return np.concatenate([np.pad(line, ((0, planes - len(line)), (0, 0))).T for line in lines])
