"""The photomontage test: is it the object or the ground that a classifier goes by?

Four pictures are compared, with and without the object, on the ground of its own class and on a foreign one: the object
pasted on either ground, and either ground alone. A class that is known by its objects keeps its score on a foreign
ground and has none without an object. A class that is known by its ground does the opposite. The two grounds are always
held against each other, so what pasting and painting over cost by themselves, and what the classifier says of any
picture at all, does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from wsl.checks import check_image, check_same_size
from wsl.types import Image, Mask

HOLE_MARGIN = 0.04  # of the diagonal of the mask's box: shadows and soft edges go with the object
HOLE_MARGIN_LEAST = 2  # pixels
INPAINT_RADIUS = 3  # pixels
INPAINT_SIDE = 512  # larger images are painted over at this longer side: a hole has no detail, and it takes long
SOFT_EDGE = 0.7  # pixels, standard deviation of the blurred mask
LARGEST_OBJECT = 0.7  # of the image: above this hardly any ground is left to be tested

LOST = 0.5  # of the score must be lost on a foreign ground
KEPT = 0.5  # of the score must be what the own ground alone gets above a foreign one alone
LEAST_SCORE = 0.2  # below this mean score the class is not recognised, so there is nothing to lose


@dataclass(frozen=True)
class MontageScores:
    """Scores of one class in one image, or their means: probabilities in [0, 1].

    score: the image as it is. foreign: the object on the ground of an image without the class. control: the object on
    the ground of another image of the class, None when there is no other. removed: the image without the object.
    empty: the foreign ground without the object. energy: share of the map's energy on the object pasted on foreign
    ground, None when the map is empty. area: share of the pixels that the object has.
    """

    score: float
    foreign: float
    control: float | None
    removed: float
    empty: float
    energy: float | None
    area: float

    @property
    def lost(self) -> float | None:
        """What the foreign ground costs the object, as a share of the score; None when the score is 0.

        (control - foreign) / score, or (score - foreign) / score without a control.
        """
        reference = self.score if self.control is None else self.control
        return (reference - self.foreign) / self.score if self.score > 0 else None

    @property
    def kept(self) -> float | None:
        """What the own ground alone gets above a foreign one, as a share of the score; None when the score is 0.

        (removed - empty) / score.
        """
        return (self.removed - self.empty) / self.score if self.score > 0 else None


def relies_on_background(scores: MontageScores) -> bool | None:
    """True when at least half of the score is lost on foreign ground and at least half is kept by the own ground alone.

    None when the mean score is below 0.2: a class that is not recognised has nothing to lose.
    """
    lost, kept = scores.lost, scores.kept
    if scores.score < LEAST_SCORE or lost is None or kept is None:
        return None
    return lost >= LOST and kept >= KEPT


def mean_scores(scores: Sequence[MontageScores]) -> MontageScores | None:
    """The mean over images; controls and energies over the images that have them. None when there is no image."""
    if not scores:
        return None
    return MontageScores(
        score=_mean([each.score for each in scores]),
        foreign=_mean([each.foreign for each in scores]),
        control=_mean_known([each.control for each in scores]),
        removed=_mean([each.removed for each in scores]),
        empty=_mean([each.empty for each in scores]),
        energy=_mean_known([each.energy for each in scores]),
        area=_mean([each.area for each in scores]),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(np.array(values, np.float64)))


def _mean_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None


def can_be_tested(mask: Mask) -> bool:
    """Whether there is an object, and enough ground around it."""
    return bool(mask.any()) and float(mask.mean()) <= LARGEST_OBJECT


def remove_objects(image: Image, mask: Mask) -> Image:
    """The image uint8 (H, W, 3) with `mask` bool (H, W) painted over from around it (Bertalmio et al., CVPR 2001).

    OpenCV's INPAINT_NS: unlike its other method, it leaves an even ground exactly even. The hole is a little larger
    than the mask. Where the mask covers everything, the result is the image's mean colour.
    """
    check_image(image)
    check_same_size(image, mask, "image", "mask")
    if not mask.any():
        return image
    hole = _widen(mask)
    if hole.all():
        return np.broadcast_to(np.rint(image.mean((0, 1))).astype(np.uint8), image.shape).copy()
    return np.where(hole[..., None], _paint_over(image, hole), image)


def _paint_over(image: Image, hole: Mask) -> Image:
    factor = INPAINT_SIDE / max(image.shape[:2])
    if factor >= 1:
        return cv2.inpaint(np.ascontiguousarray(image), hole.astype(np.uint8), INPAINT_RADIUS, cv2.INPAINT_NS)
    size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    covered = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    if covered.all():
        return np.broadcast_to(np.rint(image[~hole].mean(0)).astype(np.uint8), image.shape)
    painted = cv2.inpaint(small, covered.astype(np.uint8), INPAINT_RADIUS, cv2.INPAINT_NS)
    return cv2.resize(painted, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _widen(mask: Mask) -> Mask:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    diagonal = float(np.hypot(rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]))
    margin = max(HOLE_MARGIN_LEAST, round(HOLE_MARGIN * diagonal))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0


def fit_ground(ground: Image, size: tuple[int, int]) -> Image:
    """The ground scaled to cover (height, width), aspect ratio kept, and cut to it from the middle."""
    check_image(ground)
    factor = max(size[0] / ground.shape[0], size[1] / ground.shape[1])
    height, width = (max(round(side * factor), wanted) for side, wanted in zip(ground.shape[:2], size, strict=True))
    scaled = cv2.resize(ground, (width, height), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    return np.ascontiguousarray(scaled[top : top + size[0], left : left + size[1]])


def paste_objects(image: Image, mask: Mask, ground: Image) -> Image:
    """The pixels of `image` in `mask` over `ground`, all of one size; the edge is a pixel soft."""
    check_image(image)
    check_same_size(image, mask, "image", "mask")
    check_same_size(image, ground, "image", "ground")
    cover = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), SOFT_EDGE)[..., None]
    return np.rint(image * cover + ground * (1 - cover)).astype(np.uint8)
