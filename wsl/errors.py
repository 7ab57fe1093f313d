"""The errors that a user can cause, each with one sentence: what was expected, what was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WslError(Exception):
    """Base of all errors that are the user's to mend. `exit_code` is what the command line returns."""

    exit_code = 2


class ConfigError(WslError):
    """A bad command, option, configuration key or value."""


class DataError(WslError):
    """A file of the user's data is missing, broken or contradicts another."""

    exit_code = 3


class ModelError(WslError):
    """A model, layer, checkpoint or weights file that does not fit."""


class MissingExtraError(WslError):
    """A feature needs a package that is not installed."""

    def __init__(self, feature: str, package: str, extra: str, instead: str = "") -> None:
        way_out = f", or {instead}" if instead else ""
        super().__init__(f"{feature} needs {package}: pip install 'wsl[{extra}]'{way_out}.")


def suggest(word: str, known: Iterable[str]) -> str:
    """' Did you mean: x?' for the nearest known name, otherwise the list of known names."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f" Did you mean: {near[0]}?"
    shown = ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
    return f" Known: {shown}." if names else ""
