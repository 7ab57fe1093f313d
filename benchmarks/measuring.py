"""What every benchmark writes beside its numbers, and how it sums up repeated ratios."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent / "results"
sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, so that nothing has to be installed
PACKAGES = ("torch", "torchvision", "numpy", "opencv-python-headless", "pillow")


def find_data() -> Path:
    """The folder with data/ and weights/: WSL_TEST_DATA, or ../shared beside the checkout."""
    root = Path(os.environ.get("WSL_TEST_DATA", Path(__file__).parents[2] / "shared"))
    if not (root / "data").is_dir():
        raise SystemExit(f"{root}/data does not exist: set WSL_TEST_DATA to the folder that holds data/ and weights/.")
    return root.resolve()


def describe_setting(more_packages: Sequence[str] = ()) -> dict[str, Any]:
    """Date, machine, load and versions."""
    from wsl.version import __version__

    versions = {"wsl": __version__, "python": platform.python_version()}
    versions |= {package: _version(package) for package in (*PACKAGES, *more_packages)}
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_at_start": load,
        "system": platform.platform(),
        "versions": versions,
    }


def summarise(values: Sequence[float]) -> dict[str, Any]:
    """Median, smallest, largest, and all values."""
    rounded = [round(value, 4) for value in values]
    return {"median": round(median(values), 4), "min": min(rounded), "max": max(rounded), "all": rounded}


def save_result(name: str, result: dict[str, Any]) -> Path:
    """Writes benchmarks/results/<name>.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", "utf8")
    return path


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
