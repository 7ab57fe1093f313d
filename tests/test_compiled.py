from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wsl import compiled


def test_switch_turns_compiled_modules_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.SWITCH, "0")
    assert compiled.load_compiled("json") is None
    monkeypatch.delenv(compiled.SWITCH)
    assert compiled.load_compiled("json").__name__ == "json"


def test_without_numba_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(compiled.SWITCH, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    compiled._load.cache_clear()
    assert compiled.load_compiled("json") is None
    compiled._load.cache_clear()


IN_NO_FOLDER = """
import pathlib
import numba
from numba.core.caching import _CacheLocator

make_folder = _CacheLocator.ensure_cache_path


def refuse(self):
    if not numba.config.CACHE_DIR:
        raise OSError("read-only")
    make_folder(self)


_CacheLocator.ensure_cache_path = refuse
from wsl.compiled import load_compiled

loops = load_compiled("twice")
print(loops.twice(21), numba.config.CACHE_DIR, bool(list(pathlib.Path(numba.config.CACHE_DIR).rglob("*.nbi"))))
"""


def test_a_package_and_a_home_that_cannot_be_written_are_no_error(tmp_path: Path) -> None:
    """As in a container with another user: the compiled code is kept for this process only."""
    pytest.importorskip("numba")
    lines = ("import numba", "@numba.njit(cache=True)", "def twice(x):", "    return 2 * x")
    (tmp_path / "twice.py").write_text("\n".join(lines))
    setting = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", compiled.SWITCH)}
    setting["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run([sys.executable, "-c", IN_NO_FOLDER], env=setting, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer, folder, filled = done.stdout.split()
    assert (answer, filled) == ("42", "True")
    assert not Path(folder).exists()
