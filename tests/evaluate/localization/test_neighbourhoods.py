from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from wsl.evaluate.localization.neighbourhoods import (
    CODEBOOKS,
    NOWHERE,
    RING,
    SADDLE,
    SIDES,
    encode_neighbours,
    list_offsets,
)

EIGHT = np.ones((3, 3), int)
FOUR = ndimage.generate_binary_structure(2, 1)


def draw(code: int) -> np.ndarray:
    """The earlier neighbours as a 3 x 3 image."""
    image = np.zeros((3, 3), bool)
    for direction, (y, x) in enumerate(RING):
        image[1 + y, 1 + x] = code >> direction & 1
    return image


@pytest.mark.parametrize("diagonal", [True, False])
def test_arms_are_one_pixel_of_every_component_around(diagonal: bool) -> None:
    book = CODEBOOKS[diagonal]
    for code in range(256):
        labels, _ = ndimage.label(draw(code), EIGHT if diagonal else FOUR)
        beside = labels if diagonal else labels * FOUR  # a corner alone is no 4-connected neighbour
        expected = set(beside[beside > 0].tolist())
        arms = [RING[arm] for arm in book.arms[code] if arm != NOWHERE]
        assert sorted(labels[1 + y, 1 + x] for y, x in arms) == sorted(expected)
        assert bool(book.flags[code] & SADDLE) == (len(expected) > 1)
        assert (book.step[code] == NOWHERE) == (not expected)
        if expected:
            assert RING[book.step[code]] in arms


def test_a_pixel_is_outermost_where_no_earlier_one_is_beside_it_or_further_out() -> None:
    for code in range(256):
        image = draw(code)
        for side, turned in zip(SIDES, (image, image.T, image[:, ::-1], image.T[:, ::-1]), strict=True):
            beside, further = turned[[0, 2], 1], turned[:, 0]
            assert bool(CODEBOOKS[True].flags[code] & side) == (not beside.any() and not further.any())
            assert bool(CODEBOOKS[False].flags[code] & side) == (not beside.any() and not further[1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (6, 9)])
def test_codes_are_an_order_in_which_higher_ranks_come_first(shape: tuple[int, int]) -> None:
    ranks = np.random.default_rng(3).integers(0, 4, shape).astype(np.uint8)
    codes, framed = encode_neighbours(ranks), np.pad(ranks.astype(int), 1, constant_values=-1)
    assert codes.shape == framed.shape
    inside = np.zeros(framed.shape, bool)
    inside[1:-1, 1:-1] = True
    assert (codes[~inside] == 255).all()
    flat, values, offsets = codes.ravel(), framed.ravel(), list_offsets(framed.shape[1])
    waiting = {
        place: {place + offsets[bit] for bit in range(8) if flat[place] >> bit & 1} for place in np.flatnonzero(inside)
    }
    for place, earlier in waiting.items():
        for bit in range(8):
            other = place + offsets[bit]
            if values[other] != values[place]:
                assert (other in earlier) == (values[other] > values[place])
            elif other in waiting:
                assert (other in earlier) != (place in waiting[other])
    done: set[int] = set()
    while len(done) < len(waiting):  # no circle: there is always one whose earlier neighbours are all done
        ready = {place for place, earlier in waiting.items() if place not in done and earlier <= done}
        assert ready
        done |= ready
