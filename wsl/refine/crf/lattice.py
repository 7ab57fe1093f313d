"""The permutohedral lattice of one set of features: splat, blur, slice, normalised symmetrically."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from wsl.compiled import load_compiled
from wsl.errors import ConfigError, DataError
from wsl.refine.crf.kernels import Floats, compute_positions
from wsl.refine.crf.scratch import WordPool
from wsl.refine.crf.simplices import find_simplices
from wsl.refine.crf.vertices import Grid, fit_grid, join_vertices

Indices = NDArray[np.uint32]

COMPILED = "wsl.refine.crf.lattice_compiled"
LARGEST_COORDINATE = 32000.0  # beyond, float32 leaves too few bits for the place inside a simplex
MOST_CORNERS = 2**31 - 1
FLOOR = np.float32(1e-20)
CACHED_LATTICES = 8
CACHED_PIXELS = 2**20


@dataclass(frozen=True, eq=False)
class Lattice:
    """A Gaussian over N feature vectors, as an (N, N) operator S S' of low cost: `filter_planes` applies it.

    corners: uint32 (d + 1, N), the lattice vertices around each pixel. weights: float32 (d + 1, N), how much of the
    pixel each takes, times the pixel's norm. after, before: uint32 (d + 1, M + 1), the next vertex of each of the M
    along every axis; number M stands for a vertex that is not there, and is its own neighbour. row_sums: float32 (N,),
    the filtered image of ones.
    """

    corners: Indices
    weights: Floats
    after: Indices
    before: Indices
    row_sums: Floats

    @property
    def vertices(self) -> int:
        return self.after.shape[1] - 1


def find_loops(backend: str) -> ModuleType | None:
    """The compiled loops for `compiled` and `auto`, None for `numpy`, or where `auto` finds no numba.

    Raises ConfigError for `compiled` without numba, and for an unknown name.
    """
    if backend not in ("auto", "compiled", "numpy"):
        raise ConfigError(f"backend: expected auto, compiled or numpy, but got '{backend}'.")
    loops = None if backend == "numpy" else load_compiled(COMPILED)
    if backend == "compiled" and loops is None:
        raise ConfigError("backend=compiled: numba is missing or WSL_COMPILED is 0; use backend=auto.")
    return loops


def build_lattice(features: Floats, loops: ModuleType | None, memory: WordPool | None = None) -> Lattice:
    """The lattice of float32 (d, N) features, finite, in units of their standard deviations; x and y are the first two.

    Where N is no multiple of 4 the vertices of the zero vector are there too, as pydensecrf pads with it: they carry
    nothing, but the blur passes over them. loops: the compiled form, or None. memory: where the arrays of the compiled
    form come from, None = they are new. Raises ConfigError when features are so
    many deviations away from 0 that float32 cannot tell places inside a simplex apart.
    """
    dimension, pixels = features.shape
    if pixels * (dimension + 1) > MOST_CORNERS:
        raise DataError(f"An image of {pixels} pixels with {dimension} features is too large for one lattice; tile it.")
    grid = fit_grid(features)
    if grid.largest > LARGEST_COORDINATE:
        name = "sxy" if grid.widest < 2 else "schan"
        raise ConfigError(
            f"{name} is too small: the image reaches {grid.largest:.3g} on a lattice that ends at "
            f"{LARGEST_COORDINATE:g}; use a larger value."
        )
    if loops is not None and grid.bits + (pixels * (dimension + 1) + 64).bit_length() <= 62:
        corners, weights, after, before = loops.build_graph(features, grid, memory)
    else:
        corners, weights, after, before = _join_in_numpy(features, grid)
    if loops is not None:
        corners, weights = np.ascontiguousarray(corners), np.ascontiguousarray(weights)
    return _normalise(corners, weights, after, before, loops)


def _join_in_numpy(features: Floats, grid: Grid) -> tuple[Indices, Floats, Indices, Indices]:
    pixels = features.shape[1]
    padded = np.pad(features, ((0, 0), (0, 1))) if pixels % 4 else features
    simplices = find_simplices(padded)
    corners, after, before = join_vertices(simplices, grid)
    # by pixel in memory, as the sparse matrix of the filter wants them
    return corners[:pixels].T, np.ascontiguousarray(simplices.weights.T[:pixels]).T, after, before


def _normalise(corners: Indices, weights: Floats, after: Indices, before: Indices, loops: ModuleType | None) -> Lattice:
    """Puts the norm of the blur and 1 / sqrt(row sum) of each pixel into its weights."""
    gain = np.float32(1 / (1 + 2.0 ** -(len(after) - 1)))
    ones = np.ones((1, corners.shape[1]), np.float32)
    plain = Lattice(corners, weights, after, before, ones[0])
    norm = 1 / np.sqrt(gain * filter_planes(plain, ones, loops)[0] + FLOOR)
    weights *= np.sqrt(gain) * norm
    return Lattice(corners, weights, after, before, filter_planes(plain, ones, loops)[0])


def filter_planes(lattice: Lattice, planes: Floats, loops: ModuleType | None) -> Floats:
    """float32 (C, N) planes, each filtered by the lattice."""
    out = np.zeros_like(planes)
    add_filtered(lattice, planes, 1.0, out, loops)
    return out


def add_filtered(lattice: Lattice, planes: Floats, gain: float, out: Floats, loops: ModuleType | None) -> None:
    """Adds gain * the filtered planes (C, N) to `out` (C, N)."""
    if loops is not None:
        arrays = (lattice.corners, lattice.weights, lattice.after, lattice.before)
        loops.add_filtered(*arrays, planes, gain, out)
    else:
        for plane, target in zip(planes, out, strict=True):
            target += np.float32(gain) * _filter_in_numpy(lattice, plane)


def _filter_in_numpy(lattice: Lattice, plane: Floats) -> Floats:
    from scipy.sparse import csr_array

    corners, pixels = lattice.corners.shape
    starts = np.arange(0, pixels * corners + 1, corners, dtype=np.int32)
    parts = (lattice.weights.T.ravel(), lattice.corners.T.ravel().view(np.int32), starts)
    slicing = csr_array(parts, shape=(pixels, lattice.vertices + 1))
    values = slicing.T @ plane  # the last row stays 0 and stands for missing neighbours
    for after, before in zip(lattice.after, lattice.before, strict=True):
        values += np.float32(0.5) * (values[after] + values[before])
    filtered: Floats = slicing @ values
    return filtered


@lru_cache(maxsize=CACHED_LATTICES)
def _remember_positions(size: tuple[int, int], sxy: tuple[float, float], loops: ModuleType | None) -> Lattice:
    # Not set read-only, though nobody may write to them: numba would compile every loop a second time for that.
    return build_lattice(compute_positions(size, sxy), loops)


def build_position_lattice(size: tuple[int, int], sxy: tuple[float, float], loops: ModuleType | None) -> Lattice:
    """The lattice of pixel positions of an image (height, width), kept for the next image of the same size.

    The last few are kept, up to a million pixels; any thread may ask.
    """
    if size[0] * size[1] > CACHED_PIXELS:
        return build_lattice(compute_positions(size, sxy), loops)
    return _remember_positions(size, sxy, loops)
