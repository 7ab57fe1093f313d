"""Per-image tables of scores against wsolevaluation's metadata, for intervals and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wsl.evaluate.certainty.box_curve_table import BoxCurveTable
from wsl.evaluate.certainty.histogram_table import HistogramTable
from wsl.evaluate.certainty.tables import ImageTable, index_images
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.evaluate.localization.pixel_ap import PixelAp
from wsl.evaluate.result import Score
from wsl.evaluate.thresholds import name_table

_VERSIONS = {"MaxBoxAccV2": 2, "MaxBoxAccV1@0.5": 1}
_PIXEL_SCORES = {"PxAP": "pxap", "pIoU": "piou"}


def tabulate_boxes(metric: MaxBoxAcc, scores: Sequence[Score]) -> dict[str, ImageTable]:
    """The IoU of every image at every threshold, for the mean of V2 and for V1; `metric` keeps its curves."""
    curves = metric.curves()
    image_ids, row_image = index_images(curves.image_ids)
    return {
        name_table(score): BoxCurveTable(
            image_ids=image_ids,
            row_image=row_image,
            row_class=curves.class_ids,
            best=curves.best,
            thresholds=curves.thresholds,
            iou_thresholds=metric.iou_thresholds if _VERSIONS[score.name] == 2 else (0.5,),
            version=_VERSIONS[score.name],
        )
        for score in scores
        if score.name in _VERSIONS
    }


def tabulate_pixels(metric: PixelAp, scores: Sequence[Score]) -> dict[str, ImageTable]:
    """The histograms of every image, for PxAP and pIoU; `metric` keeps them."""
    kept = metric.histograms()
    image_ids, row_image = index_images(kept.image_ids)
    shared: dict[str, Any] = {
        "image_ids": image_ids,
        "row_image": row_image,
        "row_class": kept.class_ids,
        "counts": kept.counts,
        "thresholds": kept.edges[:-1],
    }
    return {name_table(score): HistogramTable(**shared, score=_PIXEL_SCORES[score.name]) for score in scores}
