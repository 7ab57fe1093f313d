"""Guided filter (He, Sun and Tang 2010) with a guide of any number of channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError
from wsl.refine.refiner import REFINERS, Evidence, RefineInput, Refiner, check_at_least

FULL_SCALE = 255.0
MOST_CHANNELS = 16
# Numbers held at a time: rows are taken in strips, so that memory does not grow with the image's height.
STRIP_NUMBERS = 32 * 2**20

Doubles = NDArray[np.float64]


def average_windows(plane: Doubles, radius: int) -> Doubles:
    """Mean float64 (H, W) over the square of side 2 * radius + 1 around each pixel, cut off at the image's border."""
    side = (2 * radius + 1, 2 * radius + 1)
    total = cv2.boxFilter(plane, cv2.CV_64F, side, normalize=False, borderType=cv2.BORDER_CONSTANT)
    height, width = plane.shape
    return np.asarray(total / np.outer(_count_window(height, radius), _count_window(width, radius)))


def _count_window(length: int, radius: int) -> Doubles:
    """How many of 0..length - 1 are at most `radius` away from each of them."""
    place = np.arange(length)
    return np.minimum(place + radius, length - 1) - np.maximum(place - radius, 0) + 1.0


def solve_symmetric(matrix: list[list[Doubles]], right: list[Doubles]) -> list[Doubles]:
    """x with matrix @ x = right for each pixel. matrix: C x C planes, symmetric and positive definite; right: C planes.

    Elimination without pivots, as such matrices need none.
    """
    rows, values, size = [list(row) for row in matrix], list(right), len(right)
    for pivot in range(size):
        for row in range(pivot + 1, size):
            factor = rows[row][pivot] / rows[pivot][pivot]
            for column in range(pivot + 1, size):
                rows[row][column] = rows[row][column] - factor * rows[pivot][column]
            values[row] = values[row] - factor * values[pivot]
    for row in reversed(range(size)):
        for column in range(row + 1, size):
            values[row] = values[row] - rows[row][column] * values[column]
        values[row] = values[row] / rows[row][row]
    return values


def filter_guided(guide: Doubles, planes: Doubles, radius: int, epsilon: float) -> Doubles:
    """float64 (L, H, W): q = mean(a) . I + mean(b) for each of `planes` (L, H, W), I = guide (C, H, W) in [0, 1].

    a = (Sigma + epsilon U)^-1 (mean(I p) - mean(I) mean(p)), b = mean(p) - a . mean(I); Sigma is the covariance of I in
    a pixel's window (equations 14 to 16); means are over windows of side 2 * radius + 1, cut off at the border.
    """
    channels = range(len(guide))
    means = [average_windows(plane, radius) for plane in guide]
    sigma = [list(guide) for _ in channels]
    for row in channels:
        for column in channels[row:]:
            covariance = average_windows(guide[row] * guide[column], radius) - means[row] * means[column]
            sigma[row][column] = sigma[column][row] = covariance + epsilon if row == column else covariance
    return np.stack([_filter_one(guide, plane, means, sigma, radius) for plane in planes])


def _filter_one(
    guide: Doubles, plane: Doubles, means: list[Doubles], sigma: list[list[Doubles]], radius: int
) -> Doubles:
    mean = average_windows(plane, radius)
    right = [average_windows(one * plane, radius) - own * mean for one, own in zip(guide, means, strict=True)]
    slopes = solve_symmetric(sigma, right)
    offset = mean - sum(slope * own for slope, own in zip(slopes, means, strict=True))
    terms = [average_windows(slope, radius) * one for slope, one in zip(slopes, guide, strict=True)]
    return average_windows(offset, radius) + sum(terms)


@REFINERS.register("guided_filter")
@dataclass(frozen=True)
class GuidedFilter(Refiner):
    """Guided filter of [background, scores]: in each window, evidence becomes a linear function of the colours.

    radius: of the square windows, in pixels. epsilon: squared contrast, of colours in [0, 1], below which evidence is
    smoothed rather than drawn to the edges of the image. Evidence is cut at 0. Planes of one value stay as they are.
    Raises DataError for bands with more than 16 channels.
    """

    radius: int = 15
    epsilon: float = 1e-4

    def __post_init__(self) -> None:
        if not isinstance(self.radius, int):
            raise ConfigError(f"refine.radius: expected a whole number, but got {self.radius}.")
        check_at_least("refine.radius", self.radius, 1)
        check_at_least("refine.epsilon", self.epsilon, 0, strictly=True)

    @property
    def needs(self) -> str:
        return "scores"

    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        evidence = inputs.stack()
        channels = inputs.features.shape[2]
        if channels > MOST_CHANNELS:
            raise DataError(f"guided_filter: expected bands with at most {MOST_CHANNELS} channels, but got {channels}.")
        varies = np.ptp(evidence, axis=(1, 2)) > 0
        if varies.any():
            evidence[varies] = self._filter(inputs.features, evidence[varies])
        return evidence

    def _filter(self, features: NDArray[Any], planes: Evidence) -> Evidence:
        """Strip by strip, each with the rows that its windows reach: twice the radius."""
        (height, width, channels), halo = features.shape, 2 * self.radius
        rows = max(1, STRIP_NUMBERS // (width * (channels * (channels + 4) + 4)))
        out = np.empty_like(planes)
        for first in range(0, height, rows):
            low, high = max(0, first - halo), min(height, first + rows + halo)
            guide = np.ascontiguousarray(np.moveaxis(features[low:high], 2, 0), np.float64) / FULL_SCALE
            result = filter_guided(guide, planes[:, low:high].astype(np.float64), self.radius, self.epsilon)
            out[:, first : first + rows] = result[:, first - low : first - low + rows]
        return np.maximum(out, 0)
