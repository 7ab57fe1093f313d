"""Signals of how well a class, or one region of it, was found in an image. None of them reads ground truth."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_label_map, check_same_size, check_scores
from wsl.errors import DataError
from wsl.quality.agreement import Values, align_levels, compute_scale_agreement, mean_of_known
from wsl.quality.planes import Plane, compute_certainty, compute_margin
from wsl.quality.regions import (
    Regions,
    as_one_region,
    compute_compactness,
    compute_largest_share,
    find_border,
    find_regions,
)
from wsl.seeds.labels import label_of_evidence
from wsl.types import LabelMap, Mask, Scores

UNKNOWN = float("nan")


@dataclass(frozen=True)
class Signals:
    """What is known of one region without ground truth; all in [0, 1], NaN where unknown or where there is no region.

    score: mean score of the class inside. margin: mean lead over the best rival (background or another class) inside,
    a pixel that is behind counting 0. border_margin: the same at the region's border, NaN where it fills the image.
    certainty: 1 - mean normalised entropy inside. mass: share of all the class's scores in the image that lie inside.
    scale_agreement: soft IoU inside of the maps of single scales. flip_agreement: soft IoU of the maps of the image and
    its mirror image, of the class as a whole.
    refinement_agreement: IoU of the region with that of the maps before refinement.
    probability: the classifier's for the class. area: share of the image. compactness, largest_share: see
    `wsl.quality.regions`.
    """

    score: float = UNKNOWN
    margin: float = UNKNOWN
    border_margin: float = UNKNOWN
    certainty: float = UNKNOWN
    mass: float = UNKNOWN
    scale_agreement: float = UNKNOWN
    flip_agreement: float = UNKNOWN
    refinement_agreement: float = UNKNOWN
    probability: float = UNKNOWN
    area: float = UNKNOWN
    compactness: float = UNKNOWN
    largest_share: float = UNKNOWN


NAMES = tuple(each.name for each in fields(Signals))


@dataclass(frozen=True)
class Evidence:
    """All that a run knows of one image, as arrays in the image's pixels, from which signals are computed.

    scores: float32 (K, H, W) in [0, 1] for `class_ids`. background: floating (H, W) in [0, 1], the background score
    that they compete with. label_map: uint8 (H, W), the pseudo-label. levels: per layer the raw maps float32
    (K, h, w) of its single scales, () where unknown. probabilities, flip_agreement: float32 (K,), NaN where unknown.
    Raises DataError for unequal sizes, scores that are not finite, or labels that have no map.
    """

    image_id: str
    scores: Scores
    class_ids: tuple[int, ...]
    background: Plane
    label_map: LabelMap
    levels: tuple[tuple[Scores, ...], ...] = ()
    probabilities: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    flip_agreement: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        check_scores(self.scores, f"{self.image_id}, scores")
        check_label_map(self.label_map, f"{self.image_id}, label map")
        for plane, name in ((self.background, "background"), (self.label_map, "label map")):
            check_same_size(np.moveaxis(self.scores, 0, -1), plane, f"{self.image_id}: scores", name)
        if len(self.scores) != len(self.class_ids):
            raise DataError(
                f"{self.image_id}: expected one map per class of {self.class_ids}, but got {len(self.scores)}."
            )

    @cached_property
    def certainty(self) -> Plane:
        """See `compute_certainty`."""
        return compute_certainty(self.scores, self.background)

    @cached_property
    def unrefined(self) -> LabelMap:
        """Label map uint8 (H, W) of the scores alone."""
        return label_of_evidence(self.background, self.scores, self.class_ids)


class ClassSignals:
    """Signals of one class of an image: of all that the label map gives to it, and of each region of that."""

    def __init__(self, evidence: Evidence, class_id: int) -> None:
        self.evidence = evidence
        self.row = evidence.class_ids.index(class_id) if class_id in evidence.class_ids else None
        self.mask: Mask = evidence.label_map == class_id
        self.before: Mask = evidence.unrefined == class_id

    def of_class(self) -> Signals:
        """Signals of the class as a whole, in however many regions.

        Without a region `area` is 0, `probability` is known, and all else NaN; so it is for a class without a map.
        """
        if self.row is None or not self.mask.any():
            return Signals(area=float(self.mask.mean()), probability=self._of_image(self.evidence.probabilities))
        (signals,) = self._measure(as_one_region(self.mask), as_one_region(self.before))
        return replace(signals, largest_share=compute_largest_share(self.mask))

    def of_regions(self, min_pixels: int = 1) -> list[Signals]:
        """Signals of the 8-connected regions of the class, ordered by first pixel from the top, as they are exported.

        Regions of fewer than `min_pixels` pixels are left out. `refinement_agreement` is the best IoU with a region
        before refinement, of any size; `largest_share` is 1.
        """
        regions = find_regions(self.mask, min_pixels)
        if self.row is None:
            return [Signals(area=float(area) / self.mask.size) for area in regions.areas]
        return self._measure(regions, find_regions(self.before)) if regions.count else []

    def _measure(self, regions: Regions, before: Regions) -> list[Signals]:
        columns = self._measure_inside(regions) | {
            "scale_agreement": mean_of_known(np.stack(self._compare_scales(regions))),
            "refinement_agreement": regions.largest_overlap(before),
            "area": regions.areas / self.mask.size,
            "compactness": compute_compactness(regions),
        }
        of_image = {
            "flip_agreement": self._of_image(self.evidence.flip_agreement),
            "probability": self._of_image(self.evidence.probabilities),
            "largest_share": 1.0,
        }
        return [
            Signals(**{name: float(values[number]) for name, values in columns.items()}, **of_image)
            for number in range(regions.count)
        ]

    def _measure_inside(self, regions: Regions) -> dict[str, Values]:
        scores, border = self.evidence.scores[self.row or 0], regions.keep(find_border(regions))
        margin = self._margin
        total = max(float(scores.sum(dtype=np.float64)), np.finfo(np.float32).tiny)
        areas = border.areas
        at_border = np.divide(border.sum(margin), areas, out=np.full(len(areas), np.nan), where=areas > 0)
        return {
            "score": regions.mean(scores),
            "margin": regions.mean(margin),
            "border_margin": at_border,
            "certainty": regions.mean(self.evidence.certainty),
            "mass": regions.sum(scores) / total,
        }

    @cached_property
    def _margin(self) -> Plane:
        """Lead of the class over its best rival, 0 where it is behind; serves the class and its regions."""
        return np.maximum(compute_margin(self.evidence.scores, self.evidence.background, self.row or 0), 0)

    @cached_property
    def _aligned(self) -> list[list[Plane]]:
        """Per layer the maps of the class at single scales, in the image's pixels."""
        height, width = self.evidence.label_map.shape
        layers = [[level[self.row or 0] for level in layer] for layer in self.evidence.levels if layer]
        return [align_levels(levels, (height, width)) for levels in layers]

    def _compare_scales(self, regions: Regions) -> list[Values]:
        found = [compute_scale_agreement(planes, regions) for planes in self._aligned]
        return found or [np.full(regions.count, np.nan)]

    def _of_image(self, values: NDArray[np.float32]) -> float:
        return float(values[self.row]) if self.row is not None and len(values) else UNKNOWN
