"""Random walker segmentation (Grady 2006) from sure pixels, computed by scikit-image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, suggest
from wsl.refine.refiner import REFINERS, Evidence, RefineInput, Refiner, check_at_least

STARTS = ("scores", "seeds")
MODES = ("cg_j", "cg", "bf")
FULL_SCALE = 255.0


def mark_sure(evidence: Evidence, foreground: float, background: float) -> NDArray[np.intp]:
    """(H, W): i for pixels of class channel i, whose score is the highest and above `foreground`; 0 for pixels whose
    scores are all below `background`; -1 for others. evidence: float32 (K + 1, H, W), background first.
    """
    scores = evidence[1:]
    best = scores.max(axis=0)
    sure = np.where(best > np.float32(foreground), scores.argmax(axis=0) + 1, -1)
    sure[best < np.float32(background)] = 0
    return sure


def walk_from(features: NDArray[Any], marks: NDArray[np.intp], channels: int, beta: float, mode: str) -> Evidence:
    """float32 (channels, H, W): probability that a walk from each pixel meets a mark of each channel first.

    features: (H, W, C) on the scale of 0..255. marks: (H, W), a channel, or -1 for pixels to be decided; two channels
    at least, and one pixel to be decided. A channel without marks gets 0.
    """
    from skimage.segmentation import random_walker

    looks = features.astype(np.float64) / FULL_SCALE
    if np.ptp(looks) == 0 or looks.std() == 0:
        # Differences are divided by the deviation of all colours. Where there is none all edges weigh the same, as
        # they do on a chess board with beta = 0.
        looks, beta = (np.indices(marks.shape).sum(axis=0) % 2)[..., None].astype(np.float64), 0
    # Small overshoots of the solver are cut off below, not warned of.
    found = random_walker(looks, marks + 1, beta, mode, return_full_prob=True, channel_axis=-1, prob_tol=1)
    evidence = np.zeros((channels, *marks.shape), np.float32)
    evidence[np.unique(marks[marks >= 0])] = np.clip(found, 0, 1)
    return evidence


@REFINERS.register("random_walker")
@dataclass(frozen=True)
class RandomWalker(Refiner):
    """Probability that a random walk over the pixels, slow across colour edges, meets a sure pixel of a class first.

    start: sure pixels from the scores (`scores`: the highest class where above `foreground`, background where all are
    below `background`) or from the seeds (`seeds`: all but 255). beta: the higher, the harder edges are to cross.
    mode: scikit-image's solver, `cg_j`, `cg` or `bf`. Every pixel is reached, as the grid is connected. Where only one
    channel has sure pixels it takes the image; where none has, evidence stays as it is.
    """

    start: str = "scores"
    foreground: float = 0.5
    background: float = 0.05
    beta: float = 130.0
    mode: str = "cg_j"

    def __post_init__(self) -> None:
        for name, known in (("start", STARTS), ("mode", MODES)):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"refine.{name}: unknown value '{value}'.{suggest(value, known)}")
        if not 0 <= self.background <= self.foreground <= 1:
            raise ConfigError(
                f"refine.background, refine.foreground: expected 0 <= background <= foreground <= 1, but got "
                f"{self.background} and {self.foreground}."
            )
        check_at_least("refine.beta", self.beta, 0)

    @property
    def needs(self) -> str:
        return self.start

    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        evidence = inputs.stack()
        from_seeds = self.start == "seeds"
        marks = inputs.seed_index() if from_seeds else mark_sure(evidence, self.foreground, self.background)
        present = np.unique(marks[marks >= 0])
        if len(present) == 0:
            return evidence
        if len(present) == 1 or (marks >= 0).all():
            given = np.full_like(marks, present[0]) if len(present) == 1 else marks
            return (given == np.arange(len(evidence))[:, None, None]).astype(np.float32)
        return walk_from(inputs.features, marks, len(evidence), self.beta, self.mode)
