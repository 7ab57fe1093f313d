"""Score maps in files: `.npz` with `scores` and `class_ids`, `.npy` with the maps of all classes."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError
from wsl.types import Scores

SCORE_MAP_SUFFIXES = (".npz", ".npy")
# What NumPy, zipfile and zlib raise for a damaged file.
_LOAD_ERRORS = (
    *(OSError, ValueError, EOFError, LookupError, SyntaxError, TypeError, ArithmeticError, MemoryError),
    *(NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error, TokenError),
)


@dataclass(frozen=True)
class MapFile:
    """What a file holds: `scores` float32 (K, H, W) of `class_ids`; `ranking` of all classes by the classifier, best
    first, None where unknown; `views`, the maps of single scales, only when they are asked for."""

    scores: Scores
    class_ids: tuple[int, ...]
    ranking: tuple[int, ...] | None = None
    views: tuple[Scores, ...] = ()


ReadMap = Callable[[Path, bool], MapFile]  # file, whether views are wanted


def read_map_file(path: Path, with_views: bool = False) -> MapFile:
    """The content of a foreign file, which has neither ranking nor views."""
    return MapFile(*read_score_map(path))


def read_score_map(path: Path) -> tuple[Scores, tuple[int, ...]]:
    """(scores float32 (K, H, W), class ids) of one file.

    `.npz` holds `scores` floating (K, H, W) and `class_ids` (K,); `.npy` holds the scores of all N classes in their
    order. Nothing pickled is read. DataError naming the file for anything else.
    """
    arrays = load_arrays(path)
    scores = arrays.get("scores")
    if scores is None or scores.ndim != 3 or not np.issubdtype(scores.dtype, np.floating):
        shape = f"{scores.dtype} {scores.shape}" if scores is not None else f"arrays {sorted(arrays)}"
        raise DataError(f"{path}: expected 'scores' floating (K, H, W), but got {shape}.")
    class_ids = arrays.get("class_ids", np.arange(1, len(scores) + 1))
    if path.suffix.lower() == ".npz" and "class_ids" not in arrays:
        raise DataError(f"{path}: expected an array 'class_ids' beside 'scores', but got {sorted(arrays)}.")
    return scores.astype(np.float32), _to_ids(class_ids, path)


def load_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of a .npz by name, or that of a .npy as `scores`; DataError for broken files and pickles."""
    try:
        with path.open("rb") as stream:
            loaded = np.load(stream, allow_pickle=False)
            return {"scores": loaded} if isinstance(loaded, np.ndarray) else {key: loaded[key] for key in loaded.files}
    except _LOAD_ERRORS as error:
        raise DataError(f"{path}: expected a NumPy file without Python objects, but {error}.") from None


def _to_ids(class_ids: NDArray[np.generic], path: Path) -> tuple[int, ...]:
    if class_ids.ndim != 1 or (class_ids.size and not np.issubdtype(class_ids.dtype, np.integer)):
        raise DataError(f"{path}: expected 'class_ids' as whole numbers (K,), but got {class_ids.dtype}.")
    return tuple(int(class_id) for class_id in class_ids)
