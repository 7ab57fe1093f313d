"""`area_prior`: the threshold whose foreground is as large, on average, as what stands out from the images' borders."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.seeds.label_free.lab import to_lab
from wsl.seeds.label_free.rule import LABEL_FREE_RULES, Evidence, LabelFreeRule, Values
from wsl.types import Mask

BORDER = 20  # the border is 1/20 of the shorter side, at least 2 pixels
COLOURS = 3  # of the border
SMOOTHING = 3.0  # pixels


@LABEL_FREE_RULES.register("area_prior")
class AreaPrior(LabelFreeRule):
    """Minus the difference between the mean foreground share and the mean share of pixels unlike the image's border.

    The border as a model of the background is an old prior of saliency detection (Wei et al., Geodesic saliency using
    background priors, ECCV 2012). Here: `COLOURS` CIE Lab colours of the border by k-means, distance to the nearest
    of them, smoothed, split by Otsu.
    """

    needs = ("image",)

    def measure(self, evidence: Evidence) -> Values:
        """Rows: share of the foreground at each threshold; share of what stands out, the same at each."""
        pixels = float(evidence.levels.size)
        above = evidence.sum_above(np.ones(evidence.levels.shape)) / pixels
        return np.stack([above, np.full(evidence.thresholds, find_salient(to_lab(evidence.image)).mean())])

    def rate(self, total: Values, images: int) -> Values:
        """Minus the absolute difference of the two means, in [-1, 0]."""
        return -np.abs(total[0] - total[1]) / images


def find_salient(lab: NDArray[np.float32]) -> Mask:
    """bool (H, W): pixels whose colour is far from all main colours of the image's border; none in a plain image."""
    distance = np.min([np.sqrt(((lab - colour) ** 2).sum(axis=2)) for colour in _border_colours(lab)], axis=0)
    smooth = cv2.GaussianBlur(distance.astype(np.float32), (0, 0), SMOOTHING)
    low, high = float(smooth.min()), float(smooth.max())
    if high - low < 1e-3:  # CIE units: far below what the eye can tell apart
        return np.zeros(smooth.shape, np.bool_)
    grey = ((smooth - low) / (high - low) * 255).astype(np.uint8)
    threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)
    salient: Mask = grey > threshold
    return salient


def _border_colours(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    width = max(2, min(lab.shape[:2]) // BORDER)
    border = np.ones(lab.shape[:2], np.bool_)
    border[width:-width, width:-width] = False
    colours = np.ascontiguousarray(lab[border])
    if len(colours) < COLOURS:
        return colours
    cv2.setRNGSeed(0)  # k-means++ draws its first centres
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1.0)
    _, _, centres = cv2.kmeans(colours, COLOURS, None, criteria, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    return np.asarray(centres, np.float32)
