"""The version, alone in a file so that the build can read it, and those of other packages."""

from __future__ import annotations

from collections.abc import Iterable

__version__ = "0.1.0"


def find_versions(packages: Iterable[str]) -> dict[str, str]:
    """Version of each installed package, "missing" for the others."""
    return {package: _find_version(package) for package in packages}


def _find_version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # takes a while, and `wsl --help` needs none of it

    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
