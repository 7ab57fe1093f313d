"""MaxBoxAcc: do the boxes of a score map meet the object, at the best threshold for the whole data set?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.boxes import compute_box_iou, to_array
from wsl.evaluate.localization.levels import LEVELS, iterate_levels, to_8_bit, to_levels
from wsl.evaluate.result import Score, compute_mean, name_class
from wsl.evaluate.segmentation.confusion import Counts, check_policy
from wsl.types import Box, ClassSet

PROTOCOL = "MaxBoxAcc (Choe et al., CVPR 2020): GT-known localisation, one threshold for all images"
GRIDS = ("original", "224")
BOX_RULES = ("wsolevaluation", "half_open")
_V1, _V2 = 0, 1


class MaxBoxAcc:
    """Share of (image, class) pairs whose map has a box with IoU >= d with one of the true boxes.

    V2 takes the best of all boxes at a threshold and averages over `iou_thresholds`, V1 the box of the largest
    contour at IoU 0.5. Maps are min-max normalised one by one. `grid` "original" takes map and boxes as they are,
    "224" brings both to 224 x 224 (bicubic map, cut box corners) as the published numbers do. `box_rule`
    "wsolevaluation" clips boxes at W - 1 and H - 1 and counts both ends in the IoU (+1, so that a perfect mask of a
    10 pixel object gets 0.83), "half_open" does neither. A constant map has no box and counts as a miss.

    Only the 8-bit levels that differ are computed. Counts are kept per level, so objects can be merged.
    """

    def __init__(
        self,
        iou_thresholds: Sequence[float] = (0.3, 0.5, 0.7),
        thresholds: ArrayLike | None = None,
        grid: str = "original",
        box_rule: str = "wsolevaluation",
    ) -> None:
        check_policy(grid, GRIDS, "grid")
        check_policy(box_rule, BOX_RULES, "box_rule")
        self.iou_thresholds = tuple(float(value) for value in iou_thresholds)
        if not self.iou_thresholds or not all(0 < value <= 1 for value in self.iou_thresholds):
            raise ConfigError(f"iou_thresholds: expected values in (0, 1], but got {self.iou_thresholds}.")
        # as the published command line: arange, so that 0.57 is 0.57000000000000006 and so on
        self.thresholds = np.arange(0, 1, 0.01) if thresholds is None else np.atleast_1d(np.asarray(thresholds, float))
        self.levels = to_levels(self.thresholds)
        self.grid, self.box_rule = grid, box_rule
        self._hits: dict[int, Counts] = {}  # class id -> (version, IoU threshold, level)
        self._pairs: dict[int, int] = {}
        self._constant = 0

    def update(
        self,
        score_map: NDArray[np.floating],
        boxes: Sequence[Box],
        size: tuple[int, int] | None = None,
        name: str = "score map",
    ) -> None:
        """Adds one class that is in one image: its map, floating (H, W), and its true boxes (half-open xyxy, pixels).

        `size` (H, W) of the image is needed only with grid "224" and a map of another size. DataError for NaN, for
        no box, for boxes of several classes, and for a map that does not have the image's size on the original grid.
        """
        class_id = _check_boxes(boxes, name)
        best = self._best_iou(*self._to_grid(score_map, to_array(boxes), size or score_map.shape[:2], name), name)
        limits = np.array(self.iou_thresholds)[None, :, None]
        empty = np.zeros((2, len(self.iou_thresholds), LEVELS), np.int64)
        self._hits[class_id] = self._hits.get(class_id, empty) + (best[:, None, :] >= limits)
        self._pairs[class_id] = self._pairs.get(class_id, 0) + 1

    def merge(self, other: MaxBoxAcc) -> None:
        """Adds the counts of `other`, made with the same settings."""
        if self._settings() != other._settings():
            raise ConfigError("Only MaxBoxAcc objects with the same settings can be joined.")
        for class_id, hits in other._hits.items():
            self._hits[class_id] = self._hits.get(class_id, np.zeros_like(hits)) + hits
            self._pairs[class_id] = self._pairs.get(class_id, 0) + other._pairs[class_id]
        self._constant += other._constant

    def scores(self, classes: ClassSet | None = None) -> list[Score]:
        """V2 at each IoU, the mean of V2, and V1 at IoU 0.5 if that is among `iou_thresholds`; each at its own best
        threshold on these very images (oracle; the lowest on equal scores)."""
        return self._family("MaxBoxAcc", {"value": None, "provenance": "oracle"}, classes)

    def at(self, threshold: float, provenance: str = "fixed", classes: ClassSet | None = None) -> list[Score]:
        """The same scores (named BoxAcc) at one threshold; `provenance` says how it was chosen without these images.
        Its 8-bit level must be among the computed ones, else DataError."""
        if int(to_levels(threshold)[0]) not in self.levels:
            raise DataError(f"threshold {threshold:g} was not among those computed; add it to `thresholds`.")
        return self._family("BoxAcc", {"value": float(threshold), "provenance": provenance}, classes)

    def _to_grid(
        self, score_map: NDArray[np.floating], boxes: NDArray[np.float64], size: tuple[int, ...], name: str
    ) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
        if self.grid == "original":
            if tuple(score_map.shape[:2]) != tuple(size):
                raise DataError(f"{name}: expected the image's size {tuple(size)}, but got {score_map.shape}.")
            return score_map, boxes
        resized = cv2.resize(score_map.astype(np.float64), (224, 224), interpolation=cv2.INTER_CUBIC)
        return np.asarray(resized, np.float64), np.trunc(boxes * 224 / np.array([size[1], size[0]] * 2))

    def _best_iou(self, score_map: NDArray[np.floating], truth: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        """Best IoU per level, float64 (2, 256): row 0 of the largest contour, row 1 of all contours."""
        best = np.zeros((2, LEVELS))
        image = to_8_bit(score_map, name)
        if image is None:
            self._constant += 1
            return best
        found = list(iterate_levels(image, self.levels))
        starts = np.cumsum([0] + [len(one.boxes) for one in found[:-1]])
        overlap = self._overlaps(np.concatenate([one.boxes for one in found]), truth, image.shape)
        levels = [one.level for one in found]
        best[_V1, levels] = overlap[starts + [one.largest for one in found]]
        best[_V2, levels] = np.maximum.reduceat(overlap, starts)
        return best

    def _overlaps(
        self, boxes: NDArray[np.float64], truth: NDArray[np.float64], size: tuple[int, ...]
    ) -> NDArray[np.float64]:
        """IoU of each box with the nearest true one, float64 (M,); one true box at a time, for noise makes M large."""
        inclusive = self.box_rule == "wsolevaluation"
        if inclusive:
            boxes[:, 2:] = np.minimum(boxes[:, 2:], [size[1] - 1, size[0] - 1])
        overlap = np.zeros(len(boxes))
        for true in truth:
            np.maximum(overlap, compute_box_iou(boxes, true[None], inclusive)[:, 0], out=overlap)
        return overlap

    def _family(self, stem: str, record: dict[str, Any], classes: ClassSet | None) -> list[Score]:
        every = [self._score(stem, _V2, row, record, classes) for row in range(len(self.iou_thresholds))]
        mean = compute_mean([score.value for score in every])
        every.append(Score(f"{stem}V2", mean, PROTOCOL, self._conventions(), {}, self._counts(), record))
        halves = [row for row, value in enumerate(self.iou_thresholds) if value == 0.5]
        return every + [self._score(stem, _V1, row, record, classes) for row in halves]

    def _score(self, stem: str, version: int, row: int, record: dict[str, Any], classes: ClassSet | None) -> Score:
        """One score at the threshold of `record`; at the best one when that is None."""
        hits = self._count_hits(version, row)
        if record["value"] is None:
            record = {**record, "value": float(self.thresholds[int(np.argmax(hits[self.levels]))])}
        level = int(to_levels(record["value"])[0])
        total = sum(self._pairs.values())
        return Score(
            name=f"{stem}V{version + 1}@{self.iou_thresholds[row]:g}",
            value=int(hits[level]) / total if total else None,
            protocol=PROTOCOL,
            conventions=self._conventions(),
            per_class=self._class_accuracies(version, row, level, classes),
            counts=self._counts(),
            threshold=record,
            curve={
                "threshold": self.thresholds.tolist(),
                "accuracy": [int(count) / total if total else None for count in hits[self.levels]],
            },
        )

    def _count_hits(self, version: int, row: int) -> Counts:
        """Number of pairs found at each level, int64 (256,)."""
        return sum((hits[version, row] for hits in self._hits.values()), np.zeros(LEVELS, np.int64))

    def _class_accuracies(
        self, version: int, row: int, level: int, classes: ClassSet | None
    ) -> dict[str, dict[str, float | None]]:
        return {
            name_class(class_id, classes): {"accuracy": int(self._hits[class_id][version, row, level]) / pairs}
            for class_id, pairs in sorted(self._pairs.items())
        }

    def _conventions(self) -> dict[str, str]:
        ends = "both ends counted (+1), boxes clipped at W-1, H-1" if self.box_rule == "wsolevaluation" else "half-open"
        return {"box IoU": ends, "grid": self.grid, "comparison": "IoU >=", "map": "min-max per map, 8 bit, strict >"}

    def _counts(self) -> dict[str, int]:
        return {"image-class pairs": sum(self._pairs.values()), "constant maps": self._constant}

    def _settings(self) -> tuple[Any, ...]:
        return self.iou_thresholds, self.thresholds.tolist(), self.grid, self.box_rule


def _check_boxes(boxes: Sequence[Box], name: str) -> int:
    class_ids = {box.class_id for box in boxes}
    if len(class_ids) != 1:
        raise DataError(f"{name}: expected true boxes of exactly one class, but got classes {sorted(class_ids)}.")
    return class_ids.pop()
