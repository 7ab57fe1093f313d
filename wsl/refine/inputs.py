"""What a refiner is given of one image, checked before any method sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_image, check_label_map, check_same_size, check_scores
from wsl.errors import DataError
from wsl.seeds.labels import check_class_ids, label_of_evidence
from wsl.types import BACKGROUND, IGNORE, Image, LabelMap, Scores

Evidence = NDArray[np.float32]  # (K + 1, H, W), >= 0, background first

# Scores normalised in float32 may pass 1 by a few units in the last place.
ROUNDING = 1e-4


def _check_unit_range(values: NDArray[np.float32], name: str) -> None:
    if values.size and not (values.min() >= -ROUNDING and values.max() <= 1 + ROUNDING):
        raise DataError(
            f"{name}: expected values in [0, 1], but got {values.min():g}..{values.max():g}; normalise them first."
        )


@dataclass(frozen=True)
class RefineInput:
    """What is known of one image before refinement; checked here, before any backend sees it.

    image: uint8 (H, W, 3) RGB. scores: floating (K, H, W) in [0, 1] for `class_ids`, kept as float32.
    background: floating (H, W) in [0, 1], kept as float32. seeds: uint8 (H, W) with 0, `class_ids` and 255, or None.
    bands: numbers (H, W) or (H, W, C), finite, kept as float32 (H, W, C): what colour kernels look at in place of the
    RGB image (16-bit greys, many bands), on the scale of 0..255; None = the image. guide: what a network or a file says
    of the image, for refiners that ask for it (`Refiner.guide`); floating, finite, any shape; None = nothing.
    Raises DataError for NaN or inf, unequal sizes, values outside [0, 1] and ids that do not fit.
    """

    image: Image
    scores: Scores
    seeds: LabelMap | None
    class_ids: tuple[int, ...]
    background: NDArray[np.float32]
    bands: NDArray[np.float32] | None = None
    guide: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        check_image(self.image)
        self._check_planes()
        check_class_ids(self.class_ids, len(self.scores))
        for name in ("scores", "background"):
            values = np.asarray(getattr(self, name), np.float32)
            _check_unit_range(values, name)
            object.__setattr__(self, name, np.clip(values, 0, 1))
        if self.seeds is not None:
            self._check_seeds(self.seeds)
        if self.bands is not None:
            object.__setattr__(self, "bands", self._check_bands(np.asarray(self.bands)))
        if self.guide is not None:
            _check_numbers(np.asarray(self.guide), "guide")

    def _check_planes(self) -> None:
        check_scores(self.scores)
        if self.background.ndim != 2:
            raise DataError(f"background: expected floating (H, W), but got {self.background.shape}.")
        check_scores(self.background[None], "background")
        check_same_size(self.image, np.moveaxis(self.scores, 0, -1), "image", "scores")
        check_same_size(self.image, self.background, "image", "background")

    def _check_seeds(self, seeds: LabelMap) -> None:
        check_label_map(seeds, "seeds")
        check_same_size(self.image, seeds, "image", "seeds")
        present = np.flatnonzero(np.bincount(seeds.ravel(), minlength=256)).tolist()
        strange = sorted(set(present) - {BACKGROUND, IGNORE, *self.class_ids})
        if strange:
            raise DataError(f"seeds: expected only 0, 255 and the classes {self.class_ids}, but found {strange}.")

    def _check_bands(self, bands: NDArray[Any]) -> NDArray[np.float32]:
        if bands.ndim not in (2, 3) or (bands.ndim == 3 and bands.shape[2] == 0):
            raise DataError(f"bands: expected numbers (H, W) or (H, W, C), but got shape {bands.shape}.")
        check_same_size(self.image, bands, "image", "bands")
        _check_numbers(bands, "bands")
        values: NDArray[np.float32] = bands.astype(np.float32, copy=False)
        return values[..., None] if values.ndim == 2 else values

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def features(self) -> NDArray[Any]:
        """What colour kernels look at: `bands` float32 (H, W, C) where given, else the image uint8 (H, W, 3)."""
        return self.image if self.bands is None else self.bands

    def stack(self) -> Evidence:
        """float32 (K + 1, H, W): background, then scores."""
        return np.concatenate([self.background[None], self.scores])

    def seed_index(self) -> NDArray[np.intp]:
        """Seeds as channel numbers, (H, W): 0 background, i + 1 for `class_ids[i]`, -1 where they say 255."""
        if self.seeds is None:
            raise DataError("seeds: expected a seed label map, but got None; make one with seed_label_map.")
        channel = np.full(256, -1, np.intp)
        channel[[BACKGROUND, *self.class_ids]] = np.arange(len(self.class_ids) + 1)
        return channel[self.seeds]

    def with_evidence(self, evidence: Evidence, *, keep_seeds: bool = False) -> RefineInput:
        """The same image with the evidence (K + 1, H, W) of another refiner in place of background and scores.

        Evidence above 1 is divided by its maximum, which changes no comparison. The seeds become the labels of the
        evidence unless `keep_seeds`.
        """
        values = evidence / np.float32(max(1.0, float(evidence.max(initial=0))))
        seeds = self.seeds if keep_seeds else label_of_evidence(values[0], values[1:], self.class_ids)
        return replace(self, scores=values[1:], background=values[0], seeds=seeds)


def _check_numbers(values: NDArray[Any], name: str) -> None:
    numeric = np.issubdtype(values.dtype, np.number) and not np.issubdtype(values.dtype, np.complexfloating)
    if not numeric or not np.isfinite(values).all():
        raise DataError(f"{name}: expected finite real numbers, but got {values.dtype} with NaN, inf or other values.")
