"""Top-1, Top-5 and GT-known localization: the right class and a box that meets the object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.result import PROVENANCES, Score, name_class
from wsl.evaluate.segmentation.confusion import Counts, check_policy
from wsl.types import ClassSet

PROTOCOL = "Top-k localization: one of the k best classes is a true class, and the box of its map meets the object"
# protocol -> comparison of IoU for top-k and for GT-known
COMPARISONS = {"wsl": (">=", ">="), "ts_cam": (">", ">=")}


class TopKLocalization:
    """Share of images whose k best classes hold a true class with a correct box, and of pairs with one (GT-known).

    What goes in is the IoU of a class's box with the nearest true box at each of `thresholds` (T,) of the maps, so one
    pass serves all of them. Top-k counts images: a hit in any true class is a hit. GT-known counts (image, class) pairs
    and asks no classifier; with one class per image both count the same.

    `protocol` "wsl" compares IoU >= `iou_threshold` everywhere; "ts_cam" (Gao et al., ICCV 2021) compares > for top-k
    and >= for GT-known, and knows only one threshold, fixed beforehand. With one threshold, `provenance` says where it
    comes from; with several, `scores` takes the best on these images, each score its own.
    """

    def __init__(
        self,
        thresholds: ArrayLike,
        ks: Sequence[int] = (1, 5),
        iou_threshold: float = 0.5,
        protocol: str = "wsl",
        provenance: str = "fixed",
    ) -> None:
        check_policy(protocol, tuple(COMPARISONS), "protocol")
        check_policy(provenance, PROVENANCES, "provenance")
        self.thresholds = np.atleast_1d(np.asarray(thresholds, float))
        self.ks, self.iou_threshold = tuple(int(k) for k in ks), float(iou_threshold)
        self.protocol, self.provenance = protocol, provenance
        self._check_settings()
        self._images = 0
        self._top: Counts = np.zeros((len(self.ks), len(self.thresholds)), np.int64)  # images hit
        self._hits: dict[int, Counts] = {}  # class id -> (k.., GT-known; threshold), pairs hit
        self._pairs: dict[int, int] = {}

    def update(self, best_iou: Mapping[int, NDArray[np.floating]], ranking: Sequence[int], name: str = "image") -> None:
        """Adds one image.

        `best_iou`: for each true class of the image, its class id -> IoU of the box at each threshold, (T,) in [0, 1].
        `ranking`: predicted class ids, best first, at least as many as the largest k. DataError when they are fewer or
        double, or when there is no true class.
        """
        self._check_image(best_iou, ranking, name)
        top = np.zeros_like(self._top, np.bool_)
        for class_id, curve in best_iou.items():
            hits = self._find_hits(curve, list(ranking).index(class_id) + 1 if class_id in ranking else 0)
            top |= hits[:-1]
            self._add(class_id, hits.astype(np.int64), 1)
        self._top += top
        self._images += 1

    def merge(self, other: TopKLocalization) -> None:
        """Adds the counts of `other`, made with the same settings."""
        if self._settings() != other._settings():
            raise ConfigError("Only TopKLocalization objects with the same settings can be joined.")
        for class_id, hits in other._hits.items():
            self._add(class_id, hits, other._pairs[class_id])
        self._top += other._top
        self._images += other._images

    def scores(self, classes: ClassSet | None = None) -> list[Score]:
        """Top-k Loc for each k and GT-known Loc, in this order: at the one threshold, or each at its own best one on
        these very images (oracle; the lowest on equal scores)."""
        if len(self.thresholds) == 1:
            return [self._score(row, 0, self.provenance, classes) for row in range(len(self.ks) + 1)]
        best = [int(np.argmax(self._count_hits(row))) for row in range(len(self.ks) + 1)]
        return [self._score(row, column, "oracle", classes) for row, column in enumerate(best)]

    def at(self, threshold: float, provenance: str = "fixed", classes: ClassSet | None = None) -> list[Score]:
        """The same scores at one of `thresholds`, else DataError; `provenance` says how it was chosen without these
        images."""
        near = np.flatnonzero(self.thresholds.astype(np.float32) == np.float32(threshold))
        if not len(near):
            raise DataError(f"threshold {threshold:g} was not among those computed; add it to `thresholds`.")
        return [self._score(row, int(near[0]), provenance, classes) for row in range(len(self.ks) + 1)]

    def _find_hits(self, curve: NDArray[np.floating], rank: int) -> NDArray[np.bool_]:
        """bool (K + 1, T): hit in the top k of each `ks`, and GT-known; `rank` from 1, 0 = not ranked."""
        box_ok = [
            curve > self.iou_threshold if comparison == ">" else curve >= self.iou_threshold
            for comparison in COMPARISONS[self.protocol]
        ]
        return np.array([*(box_ok[0] & (0 < rank <= k) for k in self.ks), box_ok[1]])

    def _add(self, class_id: int, hits: Counts, pairs: int) -> None:
        self._hits[class_id] = self._hits.get(class_id, np.zeros_like(hits)) + hits
        self._pairs[class_id] = self._pairs.get(class_id, 0) + pairs

    def _count_hits(self, row: int) -> Counts:
        """int64 (T,): images for a top-k row, pairs for the last one."""
        if row < len(self.ks):
            return self._top[row]
        return sum((hits[row] for hits in self._hits.values()), np.zeros(len(self.thresholds), np.int64))

    def _score(self, row: int, column: int, provenance: str, classes: ClassSet | None) -> Score:
        total = self._images if row < len(self.ks) else sum(self._pairs.values())
        hits = self._count_hits(row)
        stem = f"Top-{self.ks[row]}" if row < len(self.ks) else "GT-known"
        return Score(
            name=f"{stem} Loc@{self.iou_threshold:g}",
            value=int(hits[column]) / total if total else None,
            protocol=PROTOCOL,
            conventions=self._conventions(row),
            per_class={
                name_class(class_id, classes): {"accuracy": int(self._hits[class_id][row, column]) / pairs}
                for class_id, pairs in sorted(self._pairs.items())
            },
            counts={"images": self._images, "image-class pairs": sum(self._pairs.values())},
            threshold={"value": float(self.thresholds[column]), "provenance": provenance},
            curve={
                "threshold": self.thresholds.tolist(),
                "accuracy": [int(count) / total if total else None for count in hits],
            },
        )

    def _conventions(self, row: int) -> dict[str, str]:
        is_top = row < len(self.ks)
        return {
            "localization protocol": self.protocol,
            "comparison": f"IoU {COMPARISONS[self.protocol][0 if is_top else 1]} {self.iou_threshold:g}",
            "counted": "images; a hit in any true class" if is_top else "image-class pairs",
            "per class": "image-class pairs",
        }

    def _settings(self) -> tuple[Any, ...]:
        return self.thresholds.tolist(), self.ks, self.iou_threshold, self.protocol, self.provenance

    def _check_settings(self) -> None:
        if not self.ks or min(self.ks) < 1 or len(set(self.ks)) != len(self.ks):
            raise ConfigError(f"ks: expected different whole numbers from 1, but got {self.ks}.")
        if not 0 < self.iou_threshold <= 1:
            raise ConfigError(f"iou_threshold: expected a value in (0, 1], but got {self.iou_threshold:g}.")
        if self.thresholds.ndim != 1 or not self.thresholds.size:
            raise ConfigError(f"thresholds: expected at least one, but got {self.thresholds.shape}.")
        if self.protocol == "ts_cam" and len(self.thresholds) > 1:
            raise ConfigError(
                f"thresholds: protocol 'ts_cam' has one threshold, fixed beforehand, but got {len(self.thresholds)}; "
                "protocol 'wsl' compares many."
            )

    def _check_image(self, best_iou: Mapping[int, NDArray[np.floating]], ranking: Sequence[int], name: str) -> None:
        if not best_iou:
            raise DataError(f"{name}: expected the IoU of at least one true class, but got none.")
        for class_id, curve in best_iou.items():
            if curve.shape != self.thresholds.shape or not ((curve >= 0) & (curve <= 1)).all():
                raise DataError(
                    f"{name}: class {class_id}: expected {len(self.thresholds)} values of IoU in [0, 1], "
                    f"but got {curve.dtype} {curve.shape}."
                )
        if len(ranking) < max(self.ks) or len(set(ranking)) != len(ranking):
            raise DataError(
                f"{name}: expected at least {max(self.ks)} different ranked classes, but got {list(ranking)[:10]}; "
                "rank more classes, or ask for a smaller k."
            )
