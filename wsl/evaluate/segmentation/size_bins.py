"""What is found of the objects of each size: recall per bin of the area of the true connected regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError
from wsl.evaluate.result import Score, name_class, to_optional
from wsl.evaluate.segmentation.confusion import PREDICTED_IGNORE, Counts, check_policy, divide
from wsl.evaluate.segmentation.scored_pixels import find_scored_pixels
from wsl.localize.components import find_components
from wsl.types import IGNORE, ClassSet, LabelMap, Mask

PROTOCOL = "size bins: true connected regions by their share of the image area, foreground classes"
DEFAULT_EDGES = (0.01, 0.05, 0.20)
_PIXELS, _FOUND_PIXELS, _REGIONS, _FOUND_REGIONS = range(4)


class SizeBins:
    """Pixels and regions found, per class and bin of region size.

    A region is a connected part (`connectivity` 4 or 8) of a foreground class of the ground truth. Its bin is given by
    pixels / (H * W): bin i holds edges[i-1] <= share < edges[i]; the default edges make < 1 %, 1-5 %, 5-20 %, >= 20 %.

    Pixel recall of a bin: share of the pixels of its regions that are predicted as the class.
    Region recall: share of its regions with IoU >= `iou_threshold`. The IoU of a region R is taken with the predicted
    object that belongs to it: all connected parts of the predicted class that share a scored pixel with R, without
    their pixels on other true regions of the class (those are right, for another region) and without unscored ones.

    Ground truth 255 is not scored; it joins predicted parts but has no pixels in the IoU, and it counts in H * W.
    `predicted_ignore` as in `reduce_pairs`; a region that is predicted as 255 all over and excluded is left out.
    """

    def __init__(
        self,
        num_classes: int,
        edges: Sequence[float] = DEFAULT_EDGES,
        iou_threshold: float = 0.5,
        connectivity: int = 8,
        predicted_ignore: str = "background",
    ) -> None:
        check_policy(predicted_ignore, PREDICTED_IGNORE, "predicted_ignore")
        self.edges = tuple(float(edge) for edge in edges)
        if list(self.edges) != sorted(set(self.edges)) or not all(0 < edge < 1 for edge in self.edges):
            raise ConfigError(f"edges: expected ascending shares of the image in (0, 1), but got {tuple(edges)}.")
        if not 0 < iou_threshold <= 1:
            raise ConfigError(f"iou_threshold: expected a value in (0, 1], but got {iou_threshold}.")
        if connectivity not in (4, 8):
            raise ConfigError(f"connectivity: expected 4 or 8, but got {connectivity}.")
        self.num_classes, self.iou_threshold = num_classes, float(iou_threshold)
        self.connectivity, self.predicted_ignore = connectivity, predicted_ignore
        self._counts: Counts = np.zeros((4, num_classes + 1, len(self.edges) + 1), np.int64)
        self._images = 0

    def update(self, ground_truth: LabelMap, prediction: LabelMap, name: str = "", pairs: Counts | None = None) -> None:
        """Adds one image, both uint8 (H, W), values 0..N and 255; DataError when sizes differ or values do not fit.

        `pairs` as in `find_scored_pixels`.
        """
        prediction, scored = find_scored_pixels(
            ground_truth, prediction, self.num_classes, self.predicted_ignore, name, pairs
        )
        for class_id in np.flatnonzero(np.bincount(ground_truth.ravel(), minlength=256)[1:IGNORE]) + 1:
            regions = _measure_regions(ground_truth == class_id, prediction == class_id, scored, self.connectivity)
            self._add(int(class_id), regions, ground_truth.size)
        self._images += 1

    def merge(self, other: SizeBins) -> None:
        """Adds the counts of `other`, made with the same settings."""
        if self._settings() != other._settings():
            raise ConfigError("Only SizeBins objects with the same settings can be joined.")
        self._counts += other._counts
        self._images += other._images

    def scores(self, classes: ClassSet | None = None) -> list[Score]:
        """Per bin, from small to large: region recall and pixel recall, all foreground classes together."""
        pairs = ((_REGIONS, _FOUND_REGIONS, "region recall"), (_PIXELS, _FOUND_PIXELS, "pixel recall"))
        return [self._score(index, *pair, classes) for index in range(self._counts.shape[2]) for pair in pairs]

    def show_bin(self, index: int) -> str:
        """The bin in words: "< 1 %", "1-5 %", ">= 20 %"; "all sizes" when there is one."""
        shown = [f"{100 * edge:g}" for edge in self.edges]
        if not shown:
            return "all sizes"
        if index == 0:
            return f"< {shown[0]} %"
        return f">= {shown[-1]} %" if index == len(shown) else f"{shown[index - 1]}-{shown[index]} %"

    def _add(self, class_id: int, regions: _Regions, pixels: int) -> None:
        kept = regions.scored > 0
        place = np.searchsorted(np.array(self.edges), regions.area[kept] / pixels, side="right")
        found = regions.hit[kept] / regions.union[kept] >= self.iou_threshold
        for kind, values in enumerate((regions.scored[kept], regions.hit[kept], np.ones_like(place), found)):
            np.add.at(self._counts[kind, class_id], place, values.astype(np.int64))

    def _score(self, index: int, total: int, found: int, name: str, classes: ClassSet | None) -> Score:
        counts = self._counts[:, :, index]
        rates = divide(counts[found], counts[total])
        pooled = divide(counts[found].sum(keepdims=True), counts[total].sum(keepdims=True))
        return Score(
            name=f"{name} {self.show_bin(index)}",
            value=to_optional(pooled[0]),
            protocol=PROTOCOL,
            conventions=self._conventions(),
            per_class={
                name_class(class_id, classes): {
                    "recall": to_optional(rates[class_id]),
                    "regions": float(counts[_REGIONS, class_id]),
                }
                for class_id in range(1, self.num_classes + 1)
            },
            counts={
                "images": self._images,
                "regions": int(counts[_REGIONS].sum()),
                "pixels": int(counts[_PIXELS].sum()),
            },
        )

    def _conventions(self) -> dict[str, str]:
        return {
            "averaging": "counts of all foreground classes added up",
            "region": f"{self.connectivity}-connected, size as a share of the image area",
            "region found": f"IoU >= {self.iou_threshold:g} with the predicted parts that touch it",
            "ground truth 255": "dropped",
            "predicted 255": self.predicted_ignore,
        }

    def _settings(self) -> tuple[object, ...]:
        return self.num_classes, self.edges, self.iou_threshold, self.connectivity, self.predicted_ignore


@dataclass(frozen=True)
class _Regions:
    """Pixels of each true region of a class, int64 (R,): all, scored, hit, and union with its parts."""

    area: Counts
    scored: Counts
    hit: Counts
    union: Counts


def _measure_regions(true: Mask, predicted: Mask, scored: Mask, connectivity: int) -> _Regions:
    regions, stats = find_components(true, connectivity)
    parts, part_stats = find_components(predicted, connectivity)
    shared = _count_shared(regions, parts, scored, (len(stats) + 1, len(part_stats) + 1))
    inside, outside = shared[1:, 1:], shared[0, 1:]
    elsewhere = (inside > 0).astype(np.int64) @ outside  # pixels of the touching parts that are not of the class
    area, scored_area = stats[:, 4].astype(np.int64), shared[1:].sum(axis=1)
    return _Regions(area, scored_area, inside.sum(axis=1), scored_area + elsewhere)


def _count_shared(regions: NDArray[np.int32], parts: NDArray[np.int32], scored: Mask, shape: tuple[int, int]) -> Counts:
    """Scored pixels per (true region, predicted part), int64 (R+1, P+1); 0 is outside of all."""
    joint = regions[scored].astype(np.int64) * shape[1] + parts[scored]
    return np.bincount(joint, minlength=shape[0] * shape[1]).reshape(shape)
