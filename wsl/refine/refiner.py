"""What a refiner is: image + scores or seeds of one image -> class evidence (K + 1, H, W), background first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_image, check_label_map, check_same_size, check_scores
from wsl.errors import ConfigError, DataError
from wsl.registry import Registry, check_option_names
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
    Raises DataError for NaN or inf, unequal sizes, values outside [0, 1] and ids that do not fit.
    """

    image: Image
    scores: Scores
    seeds: LabelMap | None
    class_ids: tuple[int, ...]
    background: NDArray[np.float32]

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

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.image.shape[0], self.image.shape[1]

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


class Refiner(ABC):
    """One refinement method. Subclasses are frozen dataclasses whose fields are the options: picklable, without state.

    A call is a pure function of one image, so images may be spread over processes.
    """

    @property
    @abstractmethod
    def needs(self) -> str:
        """`scores`, `seeds` (which must then not be None) or `either`."""

    @abstractmethod
    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        """Evidence for K >= 1 classes; see `__call__`."""

    def __call__(self, inputs: RefineInput) -> Evidence:
        """Class evidence float32 (K + 1, H, W), >= 0, background first.

        An image without classes is background everywhere (ones), and no backend is asked.
        Raises DataError when the method needs seeds and there are none.
        """
        if not inputs.class_ids:
            return np.ones((1, *inputs.size), np.float32)
        if self.needs == "seeds" and inputs.seeds is None:
            raise DataError(f"{type(self).__name__} needs seeds, but got None; make them with seed_label_map.")
        return self.compute_evidence(inputs)


REFINERS: Registry[type[Refiner]] = Registry("refiner")


def check_at_least(name: str, value: float, least: float, *, strictly: bool = False) -> None:
    """Raises ConfigError unless the option is finite and >= `least` (or > when `strictly`)."""
    good = np.isfinite(value) and (value > least if strictly else value >= least)
    if not good:
        raise ConfigError(
            f"{name}: expected a number {'above' if strictly else 'of at least'} {least}, but got {value}."
        )


def build_refiner(name: str, **options: Any) -> Refiner:
    """The refiner of that name with its options; ConfigError with the nearest name for an unknown name or option."""
    method = REFINERS.get(name)
    check_option_names(f"refine.method={name}", method, options)
    refiner: Refiner = method(**options)
    return refiner


def label_map_of(evidence: Evidence, class_ids: Sequence[int]) -> LabelMap:
    """Label map uint8 (H, W) of evidence (K + 1, H, W), background first: argmax, ties go to background."""
    return label_of_evidence(evidence[0], evidence[1:], class_ids)
