"""Compiled inner loops: modules that need numba, which is installed with wsl; the results are the same without it."""

from __future__ import annotations

import atexit
import functools
import importlib
import importlib.util
import os
import shutil
import tempfile
from types import ModuleType
from typing import Any

SWITCH = "WSL_COMPILED"  # 0 = never, for comparisons


@functools.cache
def _load(name: str) -> ModuleType | None:
    if not importlib.util.find_spec("numba"):
        return None
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
    _cache_for_this_process()
    return importlib.import_module(name)


def _cache_for_this_process() -> None:
    """Where neither the package's folder nor the user's cache can be written, as in some containers, numba gives up.

    A folder of its own, for another user could leave code in one whose name is known; it is gone with the process.
    """
    import numba

    folder = tempfile.mkdtemp(prefix="wsl-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    config: Any = numba.config
    config.CACHE_DIR = folder


def load_compiled(name: str) -> ModuleType | None:
    """The module `name`, whose functions are compiled by numba.

    None when numba is missing (on a machine that has no build of it) or the environment variable WSL_COMPILED is 0;
    callers then take their NumPy, SciPy or OpenCV form, which gives the same numbers.
    """
    return None if os.environ.get(SWITCH) == "0" else _load(name)
