"""What the network is shown of an image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from wsl.cam.inputs import input_size, stack_images
from wsl.cam.preset import Preset

EXACT, PLUS_ONE = Preset(), Preset(input_sides="stride_plus_one")
MEAN, STD = (0.5, 0.25, 0.0), (0.5, 0.25, 1.0)


def draw(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "long_side", "scale", "preset", "expected"),
    [
        ((480, 640), None, 1.0, EXACT, (480, 640)),
        ((375, 500), None, 0.5, EXACT, (188, 250)),  # 187.5 rounds to the even number
        ((375, 500), None, 1.5, EXACT, (562, 750)),
        ((480, 640), 320, 1.0, EXACT, (240, 320)),
        ((20, 400), None, 1.0, EXACT, (32, 400)),  # never below 32
        ((1, 1), None, 0.5, EXACT, (32, 32)),
        ((480, 640), None, 1.0, PLUS_ONE, (481, 641)),
        ((200, 225), None, 1.0, PLUS_ONE, (193, 225)),
        ((1, 5), None, 1.0, PLUS_ONE, (33, 33)),
    ],
)
def test_sizes(
    size: tuple[int, int], long_side: int | None, scale: float, preset: Preset, expected: tuple[int, int]
) -> None:
    assert input_size(size, long_side, scale, 16, preset) == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([0.5, 1.0, 1.5, 2.0]), st.sampled_from([8, 14, 32]))
def test_stride_plus_one_is_a_multiple_of_the_stride_plus_one(
    height: int, width: int, scale: float, stride: int
) -> None:
    for found, side in zip(input_size((height, width), None, scale, stride, PLUS_ONE), (height, width), strict=True):
        assert (found - 1) % stride == 0
        assert found > 32
        assert abs(found - side * scale) <= stride / 2 + 1 or found < 32 + stride + 1


def test_resizing_is_pillows_bicubic() -> None:
    image = draw((40, 50))
    found = stack_images([image], (61, 77), MEAN, STD)
    resized = np.asarray(PillowImage.fromarray(image).resize((77, 61), PillowImage.Resampling.BICUBIC))
    for c in range(3):
        expected = (resized[:, :, c] / 255 - MEAN[c]) / STD[c]
        np.testing.assert_allclose(found[0, c].numpy(), expected, atol=1e-5)


def test_an_image_of_that_size_is_not_resampled() -> None:
    image = draw((33, 40))
    found = stack_images([image], (33, 40), (0, 0, 0), (1, 1, 1))
    np.testing.assert_array_equal((found[0] * 255).round().byte().permute(1, 2, 0).numpy(), image)


def test_images_of_several_sizes_stack() -> None:
    first, second = draw((40, 50)), draw((7, 90), 1)
    found = stack_images([first, second], (32, 48), MEAN, STD)
    assert found.shape == (2, 3, 32, 48)
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    torch.testing.assert_close(found[1:], stack_images([second], (32, 48), MEAN, STD))
