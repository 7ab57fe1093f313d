"""The header of an `.npy` file: what it promises is compared with the file's size before memory is taken."""

from __future__ import annotations

import math
import tokenize
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from wsl.cam.sources.limits import check_file_size
from wsl.errors import DataError

_HEADER_ERRORS = (ValueError, TypeError, EOFError, SyntaxError, MemoryError, RecursionError, tokenize.TokenError)
Header = tuple[tuple[int, ...], bool, "np.dtype[Any]"]


def holds_objects(path: Path) -> bool:
    """Whether the file is an `.npy` of pickled Python objects; DataError when it is no `.npy` file."""
    check_file_size(path)
    with path.open("rb") as stream:
        return read_header(path, stream)[2].hasobject


def read_array(path: Path) -> NDArray[Any]:
    """The floating array of an `.npy` file; DataError when the file is damaged or holds anything else."""
    check_file_size(path)
    with path.open("rb") as stream:
        shape, fortran, dtype = read_header(path, stream)
        if dtype.kind != "f" or min(shape, default=0) < 0:
            found = "pickled objects" if dtype.hasobject else f"{dtype} {shape}"
            raise DataError(f"{path}: expected an array of floating numbers, but got {found}.")
        content = stream.read()
    expected = math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise DataError(f"{path}: expected {expected} bytes for {dtype} {shape}, but the file holds {len(content)}.")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def read_header(path: Path, stream: IO[bytes]) -> Header:
    """Shape, Fortran order and dtype; leaves `stream` at the first byte of the content."""
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(stream)
        if version == (2, 0):
            return np.lib.format.read_array_header_2_0(stream)
    except _HEADER_ERRORS as error:
        raise DataError(f"{path}: expected an .npy file, but {error}.") from None
    raise DataError(f"{path}: expected .npy version 1.0 or 2.0, but got {version}.")
