"""Imports go one way: a package may use the shared modules and the packages before it in the pipeline."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "wsl"
SHARED = ("version", "errors", "types", "checks", "registry", "files", "progress", "compiled", "workers")
ORDER = (
    "data",
    "models",
    "cam",
    "localize",
    "seeds",
    "refine",
    "quality",
    "train",
    "evaluate",
    "export",
    "report",
    "pipeline",
    "cli",
)
# These work on arrays and files, so that anybody's output can be scored, exported and drawn.
INDEPENDENT = ("quality", "evaluate", "export", "report")
NEVER_TORCH = ("data", "localize", "seeds", "quality", "evaluate", "export", "report")
FILES = sorted(ROOT.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Full names of everything a file imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def package_of(name: str) -> str:
    """`cam` of `wsl.cam.store.read`."""
    return name.split(".")[1] if name.startswith("wsl.") else ""


def allowed(package: str) -> set[str]:
    names = {*SHARED, *ORDER[: ORDER.index(package) + 1], "__version__"}
    if package in ("pipeline", "cli"):
        names.add("config")
    if package in INDEPENDENT:
        names -= {"models", "cam", "refine", "train"}
    if package == "seeds":
        names.discard("localize")
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    inside = path.relative_to(ROOT).parts
    used = {package_of(name) for name in imported(path)} - {""}
    if len(inside) > 1:
        assert used <= allowed(inside[0]), f"{path}: {sorted(used - allowed(inside[0]))}"
    elif inside[0] not in ("__init__.py", "__main__.py", "config.py"):
        assert used <= set(SHARED), f"{path}: shared modules use only each other"


@pytest.mark.parametrize("path", [path for path in FILES if path.relative_to(ROOT).parts[0] in NEVER_TORCH])
def test_array_packages_do_without_torch(path: Path) -> None:
    assert not {name for name in imported(path) if name.split(".")[0] in ("torch", "torchvision", "timm")}


def test_every_package_is_installed() -> None:
    """setup.cfg lists packages by name, because configs/ is one of them; a new folder must not be forgotten."""
    listed = {line.strip() for line in (ROOT.parent / "setup.cfg").read_text().splitlines()}
    for folder in sorted({path.parent for path in FILES}):
        assert ".".join(folder.relative_to(ROOT.parent).parts) in listed
