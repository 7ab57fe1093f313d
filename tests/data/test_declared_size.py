from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from wsl.data.declared_size import find_resized, scale_box
from wsl.errors import DataError
from wsl.types import Sample


def test_scale_box_by_hand() -> None:
    assert scale_box((1, 2, 3, 4), (10, 20), (20, 40)) == (2, 4, 6, 8)
    assert scale_box((0, 0, 200, 200), (200, 200), (416, 416)) == pytest.approx((0, 0, 416, 416))
    assert scale_box((0, 0, 333, 250), (250, 333), (751, 1000)) == pytest.approx((0, 0, 1000, 751))


def test_other_proportions_and_boxes_beyond_the_declared_size_are_refused() -> None:
    with pytest.raises(DataError, match="for an image of 480x640, but it is 416x416"):
        scale_box((0, 0, 5, 5), (480, 640), (416, 416))
    with pytest.raises(DataError, match="cannot be scaled"):
        scale_box((0, 0, 300, 5), (200, 200), (400, 400))


def test_one_wrong_probe_leads_to_reading_all(tmp_path: Path) -> None:
    samples = {}
    for number in range(4):
        path = tmp_path / f"{number}.png"
        PIL.Image.fromarray(np.zeros((10, 20 + (number == 2)), np.uint8)).save(path)
        samples[str(number)] = Sample(str(number), path)
    samples["gone"] = Sample("gone", tmp_path / "gone.png")
    assert find_resized(samples, dict.fromkeys(samples, (10, 20))) == {"2": (10, 21)}
    assert find_resized(samples, {"0": (10, 20), "unknown": (1, 1)}) == {}
    assert find_resized(samples, {}) == {}
