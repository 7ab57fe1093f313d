from __future__ import annotations

import importlib.util

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
