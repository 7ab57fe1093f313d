"""Shared fixtures. Real data is found through WSL_TEST_DATA (default: ../shared) and skipped loudly when missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder that holds data/magnetic_tile, data/neu_det, data/coco_mini and weights/."""
    root = Path(os.environ.get("WSL_TEST_DATA", Path(__file__).parents[2] / "shared"))
    if not (root / "data").is_dir():
        pytest.skip(f"REAL DATA MISSING: {root}/data does not exist; set WSL_TEST_DATA to test on real images")
    return root.resolve()
