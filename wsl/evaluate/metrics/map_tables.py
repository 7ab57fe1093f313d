"""Per-image tables of the scores of maps, for intervals and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wsl.evaluate.certainty.box_curve_table import BoxCurveTable
from wsl.evaluate.certainty.histogram_table import HistogramTable
from wsl.evaluate.certainty.tables import ImageTable, index_images
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.evaluate.localization.pixel_ap import PixelAp
from wsl.evaluate.result import Score, name_table

_VERSIONS = {"MaxBoxAccV2": 2, "BoxAccV2": 2, "MaxBoxAccV1@0.5": 1, "BoxAccV1@0.5": 1}
_PIXEL_SCORES = {"PxAP": "pxap", "pIoU": "piou"}


def tabulate_boxes(metric: MaxBoxAcc, scores: Sequence[Score]) -> dict[str, ImageTable]:
    """The IoU of every pair at every threshold, for the mean of V2 and for V1 among `scores`, each at its threshold.

    `metric` keeps its curves; {} when it has seen no pair.
    """
    curves = metric.curves()
    if not curves.image_ids:
        return {}
    image_ids, row_image = index_images(curves.image_ids)
    tables: dict[str, ImageTable] = {}
    for score in scores:
        if score.name not in _VERSIONS:
            continue
        threshold, version = score.threshold or {}, _VERSIONS[score.name]
        tables[name_table(score, tables)] = BoxCurveTable(
            image_ids=image_ids,
            row_image=row_image,
            row_class=curves.class_ids,
            best=curves.best,
            thresholds=curves.thresholds,
            iou_thresholds=(0.5,) if version == 1 else metric.iou_thresholds,
            version=version,
            threshold="oracle" if threshold["provenance"] == "oracle" else f"fixed:{threshold['value']}",
        )
    return tables


def tabulate_pixels(metric: PixelAp, scores: Sequence[Score]) -> dict[str, ImageTable]:
    """The histograms of every pair, for PxAP and pIoU among `scores`; `metric` keeps them. {} without a pair."""
    kept = metric.histograms()
    if not kept.image_ids:
        return {}
    image_ids, row_image = index_images(kept.image_ids)
    shared: dict[str, Any] = {
        "image_ids": image_ids,
        "row_image": row_image,
        "row_class": kept.class_ids,
        "counts": kept.counts,
        "thresholds": kept.edges[:-1],
    }
    chosen = [score for score in scores if score.name in _PIXEL_SCORES]
    return {name_table(score): HistogramTable(**shared, score=_PIXEL_SCORES[score.name]) for score in chosen}
