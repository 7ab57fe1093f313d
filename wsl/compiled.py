"""Compiled inner loops: modules that need numba, which is installed with wsl; the results are the same without it."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from types import ModuleType

SWITCH = "WSL_COMPILED"  # 0 = never, for comparisons


@functools.cache
def _load(name: str) -> ModuleType | None:
    return importlib.import_module(name) if importlib.util.find_spec("numba") else None


def load_compiled(name: str) -> ModuleType | None:
    """The module `name`, whose functions are compiled by numba.

    None when numba is missing (on a machine that has no build of it) or the environment variable WSL_COMPILED is 0;
    callers then take their NumPy, SciPy or OpenCV form, which gives the same numbers.
    """
    return None if os.environ.get(SWITCH) == "0" else _load(name)
