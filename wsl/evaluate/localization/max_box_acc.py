"""MaxBoxAcc: do the boxes of a score map meet the object, at the best threshold for the whole data set?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.box_curves import BoxCurves, sort_curves
from wsl.evaluate.localization.box_hits import BoxHits
from wsl.evaluate.localization.box_protocols import (
    BoxProtocol,
    check_iou_thresholds,
    get_protocol,
    list_thresholds,
    prepare_map,
    prepare_truth,
)
from wsl.evaluate.localization.box_rows import BoxRows
from wsl.evaluate.localization.boxes import compute_box_iou, to_array
from wsl.evaluate.localization.level_boxes import find_best_overlaps
from wsl.evaluate.localization.levels import to_levels
from wsl.evaluate.result import Score
from wsl.types import Box, ClassSet

_CORNER = np.zeros((1, 4))


class MaxBoxAcc:
    """Share of (image, class) pairs whose map has a box with IoU >= d with one of the true boxes.

    V2 takes the best of all boxes at a threshold and averages over `iou_thresholds`, V1 the box of the largest
    contour at IoU 0.5. `protocol` is one of `box_protocols.PROTOCOLS`: "original", "wsolevaluation",
    "wsolevaluation_files" or "half_open"; `thresholds`, `grid` and `box_rule` change single choices of it.

    `keep_curves` keeps the IoU of every pair at every threshold (C doubles twice: 4 KB at 1000 thresholds). Extra rows:
    `per_class` with the best threshold of each class, `size_limits` (two shares of the image, such as
    `box_hits.COCO_SIZE_LIMITS`) with the accuracy of small, medium and large objects.

    Thresholds that no map tells apart are computed once. Counts are kept, so objects can be merged.
    """

    def __init__(
        self,
        iou_thresholds: Sequence[float] = (0.3, 0.5, 0.7),
        thresholds: ArrayLike | None = None,
        grid: str | None = None,
        box_rule: str | None = None,
        protocol: str = "original",
        keep_curves: bool = False,
        per_class: bool = False,
        size_limits: Sequence[float] = (),
    ) -> None:
        self.iou_thresholds = check_iou_thresholds(iou_thresholds)
        self.protocol = _change(get_protocol(protocol), grid, box_rule)
        self.thresholds = list_thresholds(self.protocol, thresholds)
        self.keep_curves, self.per_class, self.size_limits = keep_curves, per_class, tuple(map(float, size_limits))
        self._table = _tabulate(self.thresholds, self.protocol)
        is_new = np.append(True, (self._table[1:] != self._table[:-1]).any(axis=1))
        self._lowest = self.thresholds[is_new]  # of each group of thresholds that no map tells apart
        self._group = np.cumsum(is_new) - 1
        self._hits = BoxHits(self.iou_thresholds, len(self._lowest), self.size_limits)
        self._curves: dict[tuple[str, int], tuple[NDArray[np.float64], float]] = {}
        self._constant = 0

    def update(
        self,
        score_map: NDArray[np.floating],
        boxes: Sequence[Box],
        size: tuple[int, int] | None = None,
        name: str = "",
    ) -> None:
        """Adds one class that is in one image: its map, floating (H, W), and its true boxes (half-open xyxy, pixels).

        `size` (H, W) of the image, by default the map's; the grid "224" needs it. `name` is the image id. DataError for
        NaN, for no box, for boxes of several classes, for a map of another size than the image and the grid, and, with
        `keep_curves`, for an image without a name or a class of it that was there before.
        """
        subject = name or "score map"
        class_id = _check_boxes(boxes, subject)
        image = prepare_map(self.protocol, score_map, size, subject)
        true, image_size = to_array(boxes), size or score_map.shape
        best = self._best_iou(image, prepare_truth(self.protocol, true, image_size))
        share = float(np.prod(true[:, 2:] - true[:, :2], axis=1).max() / (image_size[0] * image_size[1]))
        if self.keep_curves:
            self._keep({(name, class_id): (best, share)})
        self._hits.add(class_id, share, best)
        self._constant += int(image.max() == 0)

    def merge(self, other: MaxBoxAcc) -> None:
        """Adds the pairs of `other`, made with the same settings."""
        if self._settings() != other._settings():
            raise ConfigError("Only MaxBoxAcc objects with the same settings can be joined.")
        self._keep(other._curves)
        self._hits.merge(other._hits)
        self._constant += other._constant

    def scores(self, classes: ClassSet | None = None) -> list[Score]:
        """V2 at each IoU, the mean of V2, and V1 at IoU 0.5 if that is among `iou_thresholds`; each at its own best
        threshold on these very images (oracle; the lowest on equal scores). Then the extra rows that were asked for,
        sizes at the best threshold of all pairs."""
        rows = self._rows("MaxBoxAcc", {"value": None, "provenance": "oracle"}, classes)
        return rows.main() + (rows.per_class() if self.per_class else []) + (rows.by_size() if self.size_limits else [])

    def at(self, threshold: float, provenance: str = "fixed", classes: ClassSet | None = None) -> list[Score]:
        """The same scores (named BoxAcc) at one threshold; `provenance` says how it was chosen without these images.
        Its 8-bit level must be among the computed ones, else DataError."""
        rows = self._rows("BoxAcc", {"value": float(threshold), "provenance": provenance}, classes)
        return rows.main() + (rows.by_size() if self.size_limits else [])

    def curves(self) -> BoxCurves:
        """The best IoU of every pair at every threshold; ConfigError unless made with `keep_curves`."""
        if not self.keep_curves:
            raise ConfigError("MaxBoxAcc: curves were not kept; make it with keep_curves=True.")
        keys, kept = list(self._curves), list(self._curves.values())
        best = np.array([each for each, _ in kept], np.float64).reshape(len(keys), 2, len(self._lowest))
        class_ids = np.array([class_id for _, class_id in keys], np.int64)
        shares = np.array([share for _, share in kept], np.float32)
        return sort_curves(tuple(name for name, _ in keys), class_ids, self._lowest, best, shares)

    def _best_iou(self, image: NDArray[np.uint8], truth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Best IoU per group of thresholds, float64 (2, C): row 0 of the largest contour, row 1 of all contours."""
        peak = int(image.max())
        if peak == 0 and self.protocol.empty == "corner box":
            overlap = compute_box_iou(_CORNER, truth, self.protocol.box_rule == "wsolevaluation").max()
            return np.full((2, len(self._lowest)), overlap)
        levels = to_levels(self._lowest, peak)
        return find_best_overlaps(image, truth, levels, self.protocol.box_rule)[:, levels]

    def _keep(self, curves: dict[tuple[str, int], tuple[NDArray[np.float64], float]]) -> None:
        for name, class_id in curves:
            if not name:
                raise DataError("MaxBoxAcc: curves are kept by image, so every map needs the image's name.")
            if (name, class_id) in self._curves:
                raise DataError(f"{name}: expected each class of an image once, but class {class_id} came twice.")
        self._curves |= curves

    def _rows(self, stem: str, record: dict[str, Any], classes: ClassSet | None) -> BoxRows:
        return BoxRows(
            stem=stem,
            hits=self._hits,
            thresholds=self.thresholds,
            group=self._group,
            column=0 if record["value"] is None else self._find_column(record["value"]),
            record=record,
            conventions={**self.protocol.conventions(), "thresholds": self._describe_thresholds()},
            counts={"constant maps": self._constant},
            classes=classes,
        )

    def _describe_thresholds(self) -> str:
        return f"{len(self.thresholds)} from {self.thresholds[0]:g} to {self.thresholds[-1]:g}"

    def _find_column(self, threshold: float) -> int:
        near = np.flatnonzero((self._table == _tabulate(np.array([threshold]), self.protocol)).all(axis=1))
        if not len(near):
            raise DataError(f"threshold {threshold:g} was not among those computed; add it to `thresholds`.")
        return int(self._group[near[0]])

    def _settings(self) -> tuple[Any, ...]:
        options = (self.keep_curves, self.per_class, self.size_limits)
        return self.iou_thresholds, self.thresholds.tolist(), self.protocol, options


def _change(protocol: BoxProtocol, grid: str | None, box_rule: str | None) -> BoxProtocol:
    """The protocol with single choices changed, which its name then says."""
    changed = replace(protocol, grid=grid or protocol.grid, box_rule=box_rule or protocol.box_rule)
    changes = [
        f"{key} {getattr(changed, key)}"
        for key in ("grid", "box_rule")
        if getattr(changed, key) != getattr(protocol, key)
    ]
    return replace(changed, name=f"{protocol.name}, but {', '.join(changes)}") if changes else protocol


def _tabulate(thresholds: NDArray[np.float64], protocol: BoxProtocol) -> NDArray[np.intp]:
    """The level of each threshold for each largest value that a map can have: intp (T, 1) or (T, 255)."""
    peaks = [255] if protocol.maps == "min-max" else range(1, 256)
    return np.stack([to_levels(thresholds, peak) for peak in peaks], axis=1)


def _check_boxes(boxes: Sequence[Box], name: str) -> int:
    class_ids = {box.class_id for box in boxes}
    if len(class_ids) != 1:
        raise DataError(f"{name}: expected true boxes of exactly one class, but got classes {sorted(class_ids)}.")
    return class_ids.pop()
