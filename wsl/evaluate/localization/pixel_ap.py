"""PxAP, its precision and recall curves, and pIoU: does a score map rank the object's pixels above the others?"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.pixel_histograms import (
    PixelHistograms,
    PixelLabels,
    compute_curves,
    compute_pixel_ap,
    count_scores,
    label_pixels,
    make_edges,
)
from wsl.evaluate.localization.pixel_protocols import NORMALISERS, PIXEL_PROTOCOLS
from wsl.evaluate.result import Score, name_class, to_optional
from wsl.evaluate.segmentation.confusion import Counts, Values, check_policy
from wsl.types import ClassSet, Mask

PROTOCOL = "PxAP (Choe et al., CVPR 2020): pixels of the whole set pooled, one threshold for all images"
MEASURES = ("precision", "recall", "iou")


class PixelAp:
    """Histograms of the pixels of all images, by class: PxAP and pIoU from one pass, at the cost of one threshold.

    `protocol`: "original" takes map and mask in the image's pixels and stretches each map to [0, 1]; "wsolevaluation"
    resizes both to 224 x 224 (map bicubic, mask nearest) and stretches then, as the published inference does;
    "wsolevaluation_files" takes stored maps of 224 x 224 in [0, 1] as they are. `normaliser` replaces the protocol's:
    "min_max", or "none" for maps that are in [0, 1] already. A constant map that is stretched becomes 0 everywhere.

    `interval` is the step between thresholds, by default the protocol's: 0.001, for files 0.01. `keep_histograms` also
    keeps those of each (image, class) pair, some kilobytes each, for `histograms`. Objects can be merged; the order of
    images does not matter.
    """

    def __init__(
        self,
        protocol: str = "original",
        interval: float | None = None,
        normaliser: str | None = None,
        keep_histograms: bool = False,
    ) -> None:
        check_policy(protocol, tuple(PIXEL_PROTOCOLS), "protocol")
        self.protocol, self._rule = protocol, PIXEL_PROTOCOLS[protocol]
        self.normaliser = self._rule.normaliser if normaliser is None else normaliser
        check_policy(self.normaliser, NORMALISERS, "normaliser")
        self.interval = self._rule.interval if interval is None else float(interval)
        self.edges, self.keep_histograms = make_edges(self.interval), keep_histograms
        self._counts: dict[int, Counts] = {}  # class id -> (off or on the object, bin)
        self._pairs: dict[int, int] = {}
        self._ignored = self._constant = 0
        self._kept: dict[tuple[str, int], tuple[NDArray[np.uint16], NDArray[np.unsignedinteger]]] = {}

    def update(
        self,
        score_map: NDArray[np.floating],
        mask: Mask,
        ignore: Mask | None,
        class_id: int,
        name: str = "score map",
        size: tuple[int, int] | None = None,
    ) -> None:
        """Adds one class that is in one image: its map, floating, and its true `mask`, bool (H, W).

        `ignore`, bool (H, W): pixels that are not scored; the object's own are, even there. `size` (H, W) of the image
        is needed only where `mask` is on the protocol's grid already and the map is not. `name` is the image id.
        DataError for NaN and inf, scores outside [0, 1] that are not stretched, sizes that differ, and (with
        `keep_histograms`) a pair that was added before.
        """
        values, labels = self._prepare(score_map, mask, ignore, size or mask.shape, name)
        counts = self._count(values, labels, name)
        if self.keep_histograms:
            self._keep((name, class_id), counts)
        self._add(class_id, counts, 1)
        self._ignored += labels.size - int(counts.sum())

    def merge(self, other: PixelAp) -> None:
        """Adds the counts of `other`, made with the same settings; DataError when both keep the same pair."""
        if self._settings() != other._settings():
            raise ConfigError("Only PixelAp objects with the same settings can be joined.")
        double = sorted(self._kept.keys() & other._kept.keys())
        if double:
            raise DataError(f"{double[0][0]}: class {double[0][1]} is in both halves; each pair is scored once.")
        for class_id, counts in other._counts.items():
            self._add(class_id, counts, other._pairs[class_id])
        self._kept |= other._kept
        self._ignored += other._ignored
        self._constant += other._constant

    def scores(self, classes: ClassSet | None = None) -> list[Score]:
        """PxAP, and pIoU: the IoU at the threshold that is best on these very images (oracle; lowest on equal IoU).

        `per_class` holds each class's PxAP, and its IoU at the common threshold and at its own best one.
        """
        counts = self.total()
        area = Score(
            name="PxAP",
            value=to_optional(float(compute_pixel_ap(counts))),
            protocol=PROTOCOL,
            conventions=self._conventions(),
            per_class=self._per_class("pxap", compute_pixel_ap, classes),
            counts=self._show_counts(),
            curve=self._curve(),
        )
        best = int(np.argmax(np.nan_to_num(compute_curves(counts)[2], nan=-1.0)))
        overlap = self._score_at("pIoU", 2, best, "oracle", classes)
        own = self._per_class("best_iou", lambda each: _largest(compute_curves(each)[2]), classes)
        for name, row in overlap.per_class.items():
            row |= own[name]
        return [area, overlap]

    def at(self, threshold: float, provenance: str = "fixed", classes: ClassSet | None = None) -> list[Score]:
        """Pooled precision, recall and IoU of the pixels whose score is >= `threshold`, which must be one of the
        steps 0, interval, .., 1, else DataError; `provenance` says how it was chosen without these images."""
        near = np.flatnonzero(self.edges[:-2].astype(np.float32) == np.float32(threshold))
        if not len(near):
            raise DataError(
                f"threshold {threshold:g} is not a step of the histogram; expected a multiple of {self.interval:g} "
                "in [0, 1], or another interval."
            )
        names = ("pixel precision", "pixel recall", "pixel IoU")
        return [self._score_at(name, row, int(near[0]), provenance, classes) for row, name in enumerate(names)]

    def histograms(self) -> PixelHistograms:
        """The histogram of every pair; ConfigError unless made with `keep_histograms`."""
        if not self.keep_histograms:
            raise ConfigError("The histograms of single images were not kept; use PixelAp(keep_histograms=True).")
        pairs = sorted(self._kept)
        counts = np.zeros((len(pairs), 2 * self._bins), np.int32)
        for row, pair in zip(counts, pairs, strict=True):
            cells, values = self._kept[pair]
            row[cells] = values
        return PixelHistograms(
            image_ids=tuple(image_id for image_id, _ in pairs),
            class_ids=np.array([class_id for _, class_id in pairs], np.int64),
            counts=counts.reshape(len(pairs), 2, self._bins),
            edges=self.edges,
        )

    def total(self) -> Counts:
        """The pooled histogram, int64 (2, B): pixels off and on the object; what the scores are computed from."""
        return sum(self._counts.values(), np.zeros((2, self._bins), np.int64))

    @property
    def _bins(self) -> int:
        return len(self.edges) - 1

    def _prepare(
        self, score_map: NDArray[np.floating], mask: Mask, ignore: Mask | None, size: tuple[int, ...], name: str
    ) -> tuple[NDArray[np.float64], PixelLabels]:
        if ignore is not None and ignore.shape != mask.shape:
            raise DataError(f"{name}: the mask is {mask.shape} but ignore is {ignore.shape} (height, width).")
        on_object = self._rule.fit_mask(mask, name)
        labels = label_pixels(on_object, None if ignore is None else self._rule.fit_mask(ignore, f"{name}: ignore"))
        values = self._rule.fit_map(score_map, size, name)
        if values.shape != labels.shape:
            raise DataError(f"{name}: the score map is {values.shape} but its mask is {labels.shape} (height, width).")
        return values, labels

    def _count(self, values: NDArray[np.float64], labels: PixelLabels, name: str) -> Counts:
        low, high = float(values.min()), float(values.max())
        if self.normaliser == "none":
            if low < 0 or high > 1:
                raise DataError(f"{name}: expected scores in [0, 1], but got {low:g}..{high:g}; or stretch by min_max.")
            return count_scores(values, labels, self.edges)
        if low == high:
            self._constant += 1
            return count_scores(np.zeros_like(values), labels, self.edges)
        if not math.isfinite(high - low):
            raise DataError(f"{name}: expected scores whose range is a finite number, but got {low:g}..{high:g}.")
        return count_scores(values, labels, self.edges, low, high - low)

    def _keep(self, pair: tuple[str, int], counts: Counts) -> None:
        if pair in self._kept:
            raise DataError(f"{pair[0]}: class {pair[1]} was added before; `name` must be the image id.")
        flat = counts.ravel()
        cells = np.flatnonzero(flat)
        self._kept[pair] = cells.astype(np.uint16), flat[cells].astype(np.min_scalar_type(int(flat.max(initial=0))))

    def _add(self, class_id: int, counts: Counts, pairs: int) -> None:
        self._counts[class_id] = self._counts.get(class_id, np.zeros_like(counts)) + counts
        self._pairs[class_id] = self._pairs.get(class_id, 0) + pairs

    def _per_class(
        self, measure: str, compute: Callable[[Counts], Any], classes: ClassSet | None
    ) -> dict[str, dict[str, float | None]]:
        return {
            name_class(class_id, classes): {measure: to_optional(float(compute(counts)))}
            for class_id, counts in sorted(self._counts.items())
        }

    def _score_at(self, name: str, row: int, index: int, provenance: str, classes: ClassSet | None) -> Score:
        def pick(counts: Counts) -> float:
            return float(compute_curves(counts)[row][index])

        return Score(
            name=name,
            value=to_optional(pick(self.total())),
            protocol=PROTOCOL,
            conventions=self._conventions(),
            per_class=self._per_class(MEASURES[row], pick, classes),
            counts=self._show_counts(),
            threshold={"value": float(self.edges[index]), "provenance": provenance},
            curve=self._curve(),
        )

    def _curve(self) -> dict[str, list[float | None]]:
        columns = (self.edges[:-1], *compute_curves(self.total()))
        # thresholds above 1 are left out: no pixel has such a score
        return {
            name: [to_optional(value) for value in column[: self._bins - 1].tolist()]
            for name, column in zip(("threshold", *MEASURES), columns, strict=True)
        }

    def _conventions(self) -> dict[str, str]:
        grid = self._rule.grid
        stretch = {"min_max": "min-max per map, after resizing; constant = 0", "none": "taken as it is, in [0, 1]"}
        return {
            "pixel protocol": self.protocol,
            "grid": "original" if grid is None else f"{grid} x {grid}, map bicubic, mask nearest",
            "map": stretch[self.normaliser],
            "comparison": "score >= threshold, float64",
            "bins": f"steps of {self.interval:g}; a score of 1 has its own; no interpolation",
            "ignored pixels": "dropped, except on the object",
        }

    def _show_counts(self) -> dict[str, int]:
        off, on = self.total().sum(axis=1)
        return {
            "image-class pairs": sum(self._pairs.values()),
            "constant maps": self._constant,
            "pixels on the object": int(on),
            "pixels off the object": int(off),
            "ignored pixels": self._ignored,
        }

    def _settings(self) -> tuple[Any, ...]:
        return self.protocol, self.normaliser, self.interval, self.keep_histograms


def _largest(values: Values) -> float:
    return float(np.max(np.nan_to_num(values, nan=-1.0))) if not np.isnan(values).all() else float("nan")
