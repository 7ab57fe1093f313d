"""Cutting out, painting over and pasting, pixel by pixel; the rule of the photomontage test by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wsl.errors import DataError
from wsl.pipeline.photomontage import (
    MontageScores,
    can_be_tested,
    fit_ground,
    mean_scores,
    paste_objects,
    relies_on_background,
    remove_objects,
)


def disc(size: tuple[int, int], centre: tuple[int, int], radius: int) -> np.ndarray:
    rows, columns = np.ogrid[: size[0], : size[1]]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2


def noise(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_removed_object_leaves_its_ground() -> None:
    image = np.full((60, 80, 3), (40, 90, 160), np.uint8)
    mask = disc((60, 80), (30, 40), 12)
    image[mask] = 255
    assert (remove_objects(image, mask) == (40, 90, 160)).all()


def test_far_from_the_object_nothing_changes() -> None:
    image, mask = noise((60, 80)), disc((60, 80), (30, 40), 10)
    removed = remove_objects(image, mask)
    far = ~disc((60, 80), (30, 40), 14)
    assert np.array_equal(removed[far], image[far])
    assert not np.array_equal(removed[mask], image[mask])
    assert remove_objects(image, np.zeros((60, 80), np.bool_)) is image


def test_large_images_are_painted_over_at_a_smaller_size() -> None:
    image = np.full((300, 1400, 3), (10, 200, 30), np.uint8)
    mask = disc((300, 1400), (150, 700), 60)
    image[mask] = 0
    removed = remove_objects(image, mask)
    assert np.abs(removed.astype(int) - (10, 200, 30)).max() <= 1


def test_object_that_covers_everything_leaves_a_mean_colour() -> None:
    image = noise((20, 20))
    removed = remove_objects(image, np.ones((20, 20), np.bool_))
    assert (removed == np.rint(image.mean((0, 1)))).all()


def test_pasted_object_keeps_its_pixels_and_the_ground_its_own() -> None:
    image, ground = noise((50, 70), 1), noise((50, 70), 2)
    pasted = paste_objects(image, disc((50, 70), (25, 35), 12), ground)
    inside, outside = disc((50, 70), (25, 35), 9), ~disc((50, 70), (25, 35), 15)
    assert np.array_equal(pasted[inside], image[inside])
    assert np.array_equal(pasted[outside], ground[outside])


@pytest.mark.parametrize("size", [(30, 40), (90, 20), (7, 200), (100, 100)])
def test_ground_covers_the_size_without_being_stretched(size: tuple[int, int]) -> None:
    ground = np.zeros((60, 90, 3), np.uint8)
    ground[disc((60, 90), (30, 45), 9)] = 255
    fitted = fit_ground(ground, size)
    assert fitted.shape == (*size, 3)
    factor = max(size[0] / 60, size[1] / 90)
    seen = fitted[size[0] // 2, :, 0] > 127  # the disc's diameter along the middle row
    assert seen.sum() == pytest.approx(min(19 * factor, size[1]), abs=2.5)


def test_ground_of_the_right_size_is_taken_as_it_is() -> None:
    ground = noise((31, 17))
    assert np.array_equal(fit_ground(ground, (31, 17)), ground)


def test_what_can_be_tested() -> None:
    assert can_be_tested(disc((40, 40), (20, 20), 5))
    assert not can_be_tested(np.zeros((40, 40), np.bool_))
    assert not can_be_tested(np.ones((40, 40), np.bool_))


BY_GROUND = MontageScores(score=0.9, foreign=0.1, control=0.9, removed=0.8, empty=0.05, energy=0.1, area=0.1)


@pytest.mark.parametrize(
    ("changes", "relies"),
    [
        ({}, True),
        ({"foreign": 0.85, "removed": 0.1}, False),  # known by its object
        ({"foreign": 0.1, "control": 0.15}, False),  # pasting alone ruins it
        ({"removed": 0.9, "empty": 0.9}, False),  # says so of any picture
        ({"foreign": 0.85}, False),  # either object or ground is enough
        ({"removed": 0.1}, False),  # both are needed
        ({"control": None}, True),
        ({"score": 0.15, "foreign": 0.0, "control": 0.15, "removed": 0.15, "empty": 0.0}, None),  # not recognised
        ({"score": 0.0}, None),
    ],
)
def test_rule(changes: dict[str, float], relies: bool | None) -> None:
    assert relies_on_background(replace(BY_GROUND, **changes)) is relies


def test_lost_and_kept() -> None:
    assert BY_GROUND.lost == pytest.approx(0.8 / 0.9)
    assert replace(BY_GROUND, control=None, foreign=0.45).lost == pytest.approx(0.5)
    assert BY_GROUND.kept == pytest.approx(0.75 / 0.9)


def test_mean_leaves_out_what_is_unknown() -> None:
    mean = mean_scores([BY_GROUND, replace(BY_GROUND, score=0.5, control=None, energy=None)])
    assert mean is not None
    assert (mean.score, mean.control, mean.energy) == pytest.approx((0.7, 0.9, 0.1))
    assert mean_scores([replace(BY_GROUND, control=None)]) == replace(BY_GROUND, control=None)
    assert mean_scores([]) is None


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(DataError, match=r"image is 50x70 but ground is 50x60"):
        paste_objects(noise((50, 70)), disc((50, 70), (9, 9), 3), noise((50, 60)))
    with pytest.raises(DataError, match=r"image is 50x70 but mask is 70x50"):
        remove_objects(noise((50, 70)), disc((70, 50), (9, 9), 3))
