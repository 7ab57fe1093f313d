"""Seeded region growing on class probabilities (DSRG, Huang et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, suggest
from wsl.refine.dense_crf import DenseCrf
from wsl.refine.refiner import REFINERS, Evidence, RefineInput, Refiner

PROBABILITIES = ("crf", "scores")
RESTS = ("background", "scores")


def grow_regions(
    seed_index: NDArray[np.intp], probabilities: Evidence, foreground: float, background: float
) -> NDArray[np.intp]:
    """Seeds grown over confident pixels, (H, W): channel number, or -1 where nothing was decided.

    seed_index: (H, W), channel of each seed pixel, -1 for none. probabilities: float32 (L, H, W), background first.
    A pixel is a candidate for its most probable channel when that passes the threshold (`foreground`, or
    `background` for channel 0; strictly); other seed pixels are candidates for their seed's. A channel takes each
    8-connected region of its candidates that holds one of its seeds, save the pixels that are seeds of another.
    """
    best = probabilities.argmax(axis=0)
    cut = np.where(best == 0, np.float32(background), np.float32(foreground))
    candidates = np.where(probabilities.max(axis=0) > cut, best, seed_index)
    grown = seed_index.copy()
    for channel in range(len(probabilities)):
        count, regions = cv2.connectedComponents((candidates == channel).astype(np.uint8), connectivity=8)
        touched = np.zeros(count, np.bool_)
        touched[regions[seed_index == channel]] = True
        touched[0] = False
        grown[touched[regions] & (seed_index < 0)] = channel
    return grown


def compute_probabilities(evidence: Evidence) -> Evidence:
    """Evidence (L, H, W) divided by its sum over the channels; background 1 where there is none at all."""
    total = evidence.sum(axis=0)
    shares = evidence / np.where(total > 0, total, np.float32(1))
    shares[0][total <= 0] = 1
    return shares


@REFINERS.register("region_grow")
@dataclass(frozen=True)
class RegionGrow(Refiner):
    """DSRG's seeded region growing, one pass.

    foreground, background: probability above which a pixel may join a region. probabilities: `crf` smooths
    [background, scores] with a dense CRF (constants of `crf_preset`, its unary from scores) first; `scores` takes
    [background, scores] divided by their sum. rest: pixels that no seed reached get their own [background, scores]
    (`scores`) or are background (`background`). Evidence of seed and grown pixels is 1 for their class, else 0.
    Growth starts from the given seeds, in a chain too, as DSRG starts from its cues in every step.
    """

    foreground: float = 0.85
    background: float = 0.99
    probabilities: str = "crf"
    crf_preset: str = "sec"
    rest: str = "scores"

    def __post_init__(self) -> None:
        for name in ("foreground", "background"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"refine.{name}: expected a value in [0, 1], but got {getattr(self, name)}.")
        for name, known in (("probabilities", PROBABILITIES), ("rest", RESTS)):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"refine.{name}: unknown value '{value}'.{suggest(value, known)}")
        DenseCrf(preset=self.crf_preset)

    @property
    def needs(self) -> str:
        return "seeds"

    @property
    def keeps_cues(self) -> bool:
        return True

    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        stacked = inputs.stack()
        if self.probabilities == "crf":
            probabilities = DenseCrf(preset=self.crf_preset, unary="scores")(inputs)
        else:
            probabilities = compute_probabilities(stacked)
        grown = grow_regions(inputs.seed_index(), probabilities, self.foreground, self.background)
        evidence = (grown == np.arange(len(stacked))[:, None, None]).astype(np.float32)
        if self.rest == "scores":
            return np.where(grown < 0, stacked, evidence)
        evidence[0][grown < 0] = 1
        return evidence
