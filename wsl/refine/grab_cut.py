"""GrabCut (Rother et al. 2004) for each class, computed by OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, suggest
from wsl.refine.refiner import REFINERS, Evidence, RefineInput, Refiner, check_at_least

STARTS = ("scores", "seeds")
# OpenCV fits 5 Gaussians to each side, from one pixel each at least.
LEAST_PIXELS = 5


def draw_trimap(
    evidence: Evidence, channel: int, likely: NDArray[np.bool_], sure: tuple[float, float]
) -> NDArray[np.uint8]:
    """OpenCV's trimap uint8 (H, W) of a class channel of evidence float32 (K + 1, H, W).

    likely: bool (H, W), where the class is likely. sure = (foreground, background): a likely pixel with a score above
    the first is sure to be of the class, another pixel with a score below the second is sure not to be.
    """
    score = evidence[channel]
    trimap = np.where(likely, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    trimap[likely & (score > np.float32(sure[0]))] = cv2.GC_FGD
    trimap[~likely & (score < np.float32(sure[1]))] = cv2.GC_BGD
    return trimap


def cut(image: NDArray[np.uint8], trimap: NDArray[np.uint8], iterations: int) -> NDArray[np.bool_]:
    """bool (H, W): the foreground that GrabCut finds. A side with fewer than 5 pixels, or an image of one colour, has
    no colour model to speak of: the trimap is the answer then.

    OpenCV draws from a generator that each thread has of its own; it is set anew, so that the same input gives the same
    cut in any thread.
    """
    inside = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    fewest = min(int(inside.sum()), int((~inside).sum()))
    if fewest < LEAST_PIXELS or np.ptp(image.reshape(-1, 3), axis=0).max() == 0:
        return inside
    cv2.setRNGSeed(0)
    found = trimap.copy()
    nothing: Any = None  # OpenCV makes the colour models itself; its stubs ask for arrays
    cv2.grabCut(np.array(image, order="C"), found, nothing, nothing, nothing, iterations, cv2.GC_INIT_WITH_MASK)
    return np.asarray((found == cv2.GC_FGD) | (found == cv2.GC_PR_FGD))


@REFINERS.register("grab_cut")
@dataclass(frozen=True)
class GrabCut(Refiner):
    """GrabCut of each class against everything else: colour models of both sides, and a smooth cut between them.

    start: likely pixels of a class are those that [background, scores] give it (`scores`) or those of the seeds
    (`seeds`; 255 is likely outside). foreground, background: a likely pixel with a score above the first is sure to be
    of the class, another pixel with a score below the second is sure not to be; neither changes sides. iterations: of
    OpenCV. Evidence of a pixel that a cut gives a class is 1 plus its score, over 2, and 0 outside; background is 1/4
    everywhere, so a pixel of several cuts goes to the highest score, one of none to the background. Looks at the RGB
    image, `bands` are not used.
    """

    start: str = "scores"
    foreground: float = 0.8
    background: float = 0.05
    iterations: int = 3

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise ConfigError(f"refine.start: unknown value '{self.start}'.{suggest(self.start, STARTS)}")
        for name in ("foreground", "background"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"refine.{name}: expected a value in [0, 1], but got {getattr(self, name)}.")
        if isinstance(self.iterations, bool) or not isinstance(self.iterations, int):
            raise ConfigError(f"refine.iterations: expected a whole number, but got {self.iterations}.")
        check_at_least("refine.iterations", self.iterations, 1)

    @property
    def needs(self) -> str:
        return "seeds" if self.start == "seeds" else "scores"

    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        evidence = inputs.stack()
        likely = inputs.seed_index() if self.start == "seeds" else evidence.argmax(axis=0)
        found = np.zeros_like(evidence)
        found[0] = 0.25
        for channel in range(1, len(evidence)):
            trimap = draw_trimap(evidence, channel, likely == channel, (self.foreground, self.background))
            inside = cut(inputs.image, trimap, self.iterations)
            found[channel][inside] = (1 + evidence[channel][inside]) / 2
        return found
