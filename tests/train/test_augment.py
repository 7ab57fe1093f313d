from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsl.data.resizing import scale_image
from wsl.train.augment import CROP_AREA, augment_image, centre_image, change_colours, find_crop
from wsl.train.settings import AUGMENTATIONS
from wsl.types import Image


def picture(height: int, width: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


class Fixed:
    """A generator that always draws the same."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self) -> float:
        return self.number

    def integers(self, end: int) -> int:
        return int(self.number * end)

    def uniform(self, low: float, high: float, count: int = 0) -> np.ndarray | float:
        value = low + self.number * (high - low)
        return np.full(count, value) if count else value


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(16, 24), st.sampled_from(["stretch", "crop"]),
    st.sets(st.sampled_from(AUGMENTATIONS)), st.integers(0, 99),
)  # fmt: skip
def test_any_image_gives_a_square_and_the_same_seed_the_same(
    height: int, width: int, side: int, resize: str, names: set[str], seed: int
) -> None:
    image = picture(height, width)
    views = [
        augment_image(
            image, image_size=side, resize=resize, augment=tuple(sorted(names)), generator=np.random.default_rng(seed)
        )
        for _ in range(2)
    ]
    assert views[0].shape == (side, side, 3)
    assert views[0].dtype == np.uint8
    assert np.array_equal(views[0], views[1])
    assert centre_image(image, image_size=side, resize=resize).shape == (side, side, 3)


def test_flips_and_turns() -> None:
    image = picture(16, 16)

    def view(number: float, *names: str) -> Image:
        return augment_image(image, image_size=16, resize="stretch", augment=names, generator=Fixed(number))  # type: ignore[arg-type]

    assert np.array_equal(view(0.4, "hflip"), image[:, ::-1])
    assert np.array_equal(view(0.6, "hflip"), image)
    assert np.array_equal(view(0.4, "vflip"), image[::-1])
    assert np.array_equal(view(0.3, "rotate90"), np.rot90(image))
    assert np.array_equal(view(0.0), image)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(["stretch", "crop"]), st.booleans(), st.integers(0, 999))
def test_crops_lie_inside_and_keep_enough(height: int, width: int, resize: str, random: bool, seed: int) -> None:
    top, left, rows, columns = find_crop((height, width), resize, random, np.random.default_rng(seed))
    assert 0 <= top <= top + rows <= height
    assert 0 <= left <= left + columns <= width
    frame = (height, width) if resize == "stretch" else (min(height, width),) * 2
    if not random:
        assert (rows, columns) == frame
    else:
        # a side that the drawn aspect would push over the frame is cut, which costs at most 4/3
        assert (rows + 0.5) * (columns + 0.5) >= CROP_AREA[0] * frame[0] * frame[1] * 3 / 4


def test_centre_of_an_oblong_image() -> None:
    image = picture(16, 20)
    assert np.array_equal(centre_image(image, image_size=16, resize="crop"), image[:, 2:18])
    assert np.array_equal(centre_image(image, image_size=16, resize="stretch"), scale_image(image, (16, 16)))


def test_scaling_down_averages() -> None:
    image = picture(4, 4)
    expected = image.reshape(2, 2, 2, 2, 3).astype(float).mean((1, 3))
    assert np.abs(scale_image(image, (2, 2)) - expected).max() <= 0.5


def test_colours_against_the_formula() -> None:
    image = picture(5, 6)
    number = 0.75
    factor = 1 - 0.3 + 0.6 * number
    x = image.astype(float) * factor  # brightness
    mean_grey = (x @ [0.299, 0.587, 0.114]).mean()
    grey = x @ [0.299, 0.587, 0.114]
    saturated = factor * x + (1 - factor) * grey[..., None]
    expected = factor * saturated + (1 - factor) * mean_grey
    found = change_colours(image, Fixed(number))  # type: ignore[arg-type]
    assert np.abs(found - expected.clip(0, 255)).max() <= 1


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_flat_grey_image_stays_flat_grey(value: int) -> None:
    found = change_colours(np.full((4, 4, 3), value, np.uint8), np.random.default_rng(1))
    assert found.std() == 0
