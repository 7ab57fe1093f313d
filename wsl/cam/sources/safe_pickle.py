"""A restricted reader for `.npy` files that hold a pickled dictionary, as several projects keep their maps.

A pickle is a program. This reader runs none of its calls: every name that it may use is on a short list and stands
for an object of this module that builds a plain array and refuses everything else; any other name, and every
instruction that numpy does not write, is a DataError before anything is done. Storages of torch tensors are read with
`torch.load(weights_only=True)`.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsl.cam.sources.limits import MAX_BYTES, check_file_size
from wsl.cam.sources.npy_header import read_header
from wsl.errors import DataError

MAX_INSTRUCTIONS = 20_000  # 254 classes need about 7000
DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
# What numpy and pickle write for dictionaries of arrays, protocols 2 to 4. Not among them: persistent ids, extension
# codes, INST, OBJ and NEWOBJ, which make instances of any class.
INSTRUCTIONS = frozenset((
    "PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
    "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS",
    "EMPTY_DICT", "SETITEM", "SETITEMS", "NONE", "NEWTRUE", "NEWFALSE",
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
))  # fmt: skip
# The first bytes of torch's older file format, which is what a pickled storage holds.
_TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_TORCH_DTYPES = (
    torch.float16, torch.float32, torch.float64, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.bool,
)  # fmt: skip


def read_pickled_dict(path: Path) -> dict[Any, Any]:
    """The dictionary of an `.npy` file written by `numpy.save(path, {...})`, arrays and tensors as numpy arrays.

    Keys are str or int; values are arrays, numbers, text, or lists and tuples of numbers.
    Raises DataError naming the file, and the refused name where there is one.
    """
    check_file_size(path)
    with path.open("rb") as stream:
        shape, _, dtype = read_header(path, stream)
        content = stream.read()
    if not dtype.hasobject or shape != ():
        raise DataError(f"{path}: expected one pickled dictionary, but got {dtype} {shape}.")
    try:
        _check_instructions(content)
        value = _plain(_Unpickler(io.BytesIO(content)).load())
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:  # a forged file can make torch and the unpickler raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: the pickled maps are damaged or cut short ({reason}).") from error
    if not isinstance(value, dict) or not all(isinstance(key, (str, int)) for key in value):
        raise DataError(f"{path}: expected a dictionary with names or numbers as keys, but got {type(value).__name__}.")
    return value


def _check_instructions(content: bytes) -> None:
    """Raises DataError for instructions that are not listed. Memo numbers are bounded: the unpickler reserves memory
    for the largest."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if opcode.name not in INSTRUCTIONS:
            shown = f"{opcode.name} {argument}"[:100] if isinstance(argument, str) else opcode.name
            raise DataError(f"refused, the pickle uses the instruction {shown}, which maps do not need.")
        memo = int(argument or 0) if opcode.name == "LONG_BINPUT" else 0
        if count >= MAX_INSTRUCTIONS or memo >= MAX_INSTRUCTIONS:
            raise DataError(f"refused, the pickle has more than {MAX_INSTRUCTIONS} instructions.")


class _Sealed:
    """An object that a pickle can neither fill nor change: the instruction BUILD calls `__setstate__` only."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise DataError("refused, the pickle changes an object that cannot be changed.")


class _Name(_Sealed):
    """Stands for a name of the list; calling it builds a plain value."""

    __slots__ = ("_build",)

    def __init__(self, build: Callable[..., Any] | None = None) -> None:
        self._build = build

    def __call__(self, *arguments: Any) -> Any:
        if self._build is None:
            raise DataError("refused, the pickle calls a name that is only an argument.")
        return self._build(*arguments)


class _DType(_Sealed):
    """A numpy dtype in two steps: `dtype("f4", False, True)`, then its byte order."""

    __slots__ = ("code", "dtype")

    def __init__(self, code: str, *_: Any) -> None:
        if code not in (*DTYPES, "O8", "O4", "O"):
            raise DataError(f"expected arrays of numbers, but got dtype {code!r}.")
        self.code = code
        self.dtype = np.dtype(np.uint8 if code.startswith("O") else code)

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise DataError(f"expected a byte order, but got {order!r}.")
        self.dtype = self.dtype.newbyteorder(order)

    @property
    def is_object(self) -> bool:
        """Whether it is the dtype of the array around the dictionary."""
        return self.code.startswith("O")


class _Array(_Sealed):
    """A numpy array in two steps: an empty one, then its shape, dtype, order and bytes."""

    __slots__ = ("value",)

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def __setstate__(self, state: Any) -> None:
        if self.value is not None:
            raise DataError("refused, the pickle fills an array twice.")
        _, shape, dtype, fortran, content = state
        if dtype.is_object:
            (self.value,) = content  # the array without axes around the dictionary
            return
        self.value = _build_array(dtype.dtype, _check_sides(shape), bool(fortran), content)


def _build_array(dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool, content: Any) -> NDArray[Any]:
    expected = math.prod(shape) * dtype.itemsize
    if not isinstance(content, bytes) or len(content) != expected:
        raise DataError(f"expected {expected} bytes for an array {dtype} {shape}, but the file holds another number.")
    flat = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="), copy=False)
    return flat.reshape(shape, order="F" if fortran else "C")


def _check_sides(sides: Any) -> tuple[int, ...]:
    if not isinstance(sides, tuple) or len(sides) > 8 or not all(type(side) is int and side >= 0 for side in sides):
        raise DataError("expected the sides of an array, but got something else.")
    return sides


def _build_scalar(dtype: _DType, content: bytes) -> Any:
    """A numpy number as a Python number."""
    return _build_array(dtype.dtype, (), False, content).item()


class _Storage(_Sealed):
    """The numbers of a torch tensor, 1-D."""

    __slots__ = ("flat",)

    def __init__(self, content: bytes) -> None:
        if not content.startswith(_TORCH_MAGIC):
            raise DataError("expected the storage of a torch tensor, but got other bytes.")
        # Not what the pickle asks for, torch.storage._load_from_bytes: that one unpickles anything.
        storage = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if not isinstance(storage, torch.storage.TypedStorage) or storage.dtype not in _TORCH_DTYPES:
            raise DataError("expected the storage of a torch tensor of plain numbers, but got something else.")
        self.flat = torch.empty(0, dtype=storage.dtype).set_(storage).numpy()


def _build_tensor(storage: _Storage, offset: int, size: Any, stride: Any, *_: Any) -> _Array:
    """A torch tensor as a numpy array of its own."""
    sides, steps = _check_sides(tuple(size)), _check_sides(tuple(stride))
    flat, last = storage.flat, offset + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
    if 0 in sides:
        return _Array(np.zeros(sides, flat.dtype))
    if offset < 0 or last >= len(flat) or math.prod(sides) * flat.itemsize > MAX_BYTES:
        raise DataError(f"expected a tensor within its {len(flat)} numbers, but got sides {sides}, strides {steps}.")
    strides = tuple(step * flat.itemsize for step in steps)
    return _Array(np.lib.stride_tricks.as_strided(flat[offset:], sides, strides).copy())


_NDARRAY, _DTYPE = _Name(), _Name(_DType)
_RECONSTRUCT, _SCALAR = _Name(lambda *_: _Array()), _Name(_build_scalar)
ALLOWED = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DTYPE,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.multiarray", "scalar"): _SCALAR,
    ("numpy._core.multiarray", "scalar"): _SCALAR,
    ("collections", "OrderedDict"): _Name(lambda *_: None),  # a tensor's hooks, always empty
    ("torch._utils", "_rebuild_tensor_v2"): _Name(_build_tensor),
    ("torch.storage", "_load_from_bytes"): _Name(_Storage),
}


class _Unpickler(pickle.Unpickler):
    """Knows the names of `ALLOWED` and no others; nothing is imported."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise DataError(f"refused, the pickle asks for {module}.{name}, which may run code.")
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise DataError("refused, the pickle refers to objects outside of the file.")


def _plain(value: Any) -> Any:
    """The dictionary with its arrays out of their shells."""
    value = _unwrap(value)  # numpy.save puts the dictionary into an array without axes
    if isinstance(value, dict):
        return {key: _unwrap(each) for key, each in value.items()}
    return value


def _unwrap(value: Any) -> Any:
    return value.value if isinstance(value, _Array) else value
