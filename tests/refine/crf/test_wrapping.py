from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import DataError
from wsl.refine.crf.wrapping import wrap_image


def test_wrapped_bytes_by_hand() -> None:
    # Blue, green, red minus 104.008, 116.669, 122.675, cut towards 0, modulo 256.
    pixels = np.array([[[0, 0, 0], [255, 255, 255], [122, 117, 105], [123, 116, 103]]], np.uint8)
    wanted = [[256 - 104, 256 - 116, 256 - 122], [150, 138, 132], [0, 0, 0], [256 - 1, 0, 0]]
    np.testing.assert_array_equal(wrap_image(pixels)[0], wanted)
    assert wrap_image(pixels).dtype == np.uint8


def test_every_grey_level_against_a_loop() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    for level, wrapped in zip(levels.reshape(-1, 3)[:, 0].tolist(), wrap_image(levels).reshape(-1, 3), strict=True):
        assert wrapped.tolist() == [int(level - mean) % 256 for mean in (104.008, 116.669, 122.675)]


@pytest.mark.parametrize("image", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3), np.float32)])
def test_only_rgb_bytes_wrap(image: np.ndarray) -> None:
    with pytest.raises(DataError, match="wrap_uint8"):
        wrap_image(image)
