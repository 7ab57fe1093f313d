"""The export stage: refined label maps and boxes in other tools' formats, the most confident of them if asked."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from wsl.config import ExportConfig
from wsl.data.images import read_image_size
from wsl.data.label_maps import read_label_map
from wsl.errors import ConfigError
from wsl.export import EXPORTERS, ExportRecord
from wsl.pipeline.confidence import ConfidenceWork, confidence_path, read_confidence
from wsl.pipeline.confidence_tables import (
    FAILED,
    KEPT,
    LEFT_OUT,
    write_image_table,
    write_region_table,
    write_review_list,
)
from wsl.pipeline.context import Context
from wsl.pipeline.images import do_images, missing
from wsl.pipeline.run_folder import Failure
from wsl.pipeline.scoring import finished
from wsl.pipeline.work import StageFiles, read_boxes
from wsl.progress import track
from wsl.quality.regions import count_least_pixels, find_regions
from wsl.quality.selection import check_share, keep_best
from wsl.types import BACKGROUND, IGNORE, Box, LabelMap, Mask, Sample

log = logging.getLogger("wsl")


def check_export(settings: ExportConfig) -> None:
    """Raises ConfigError for an unknown format, a share or confidence outside [0, 1], or a negative area."""
    for name in settings.formats:
        EXPORTERS.get(name)
    check_share(settings.keep, "export.keep")
    check_share(settings.min_confidence, "export.min_confidence")
    if not 0 <= settings.min_area < math.inf:
        raise ConfigError(
            "export.min_area: expected pixels (1 or more) or a fraction of the image (below 1), "
            f"but got {settings.min_area}."
        )


def export_run(context: Context, files: StageFiles) -> tuple[dict[str, int], list[Failure]]:
    """Writes export/<format>/ for each of `export.formats`, and the tables of confidence.

    Returns how many images went out, and those whose confidence could not be computed, which do not.
    """
    settings = context.config.export
    failures = _compute_confidences(context, files)
    states = _choose(context, files, settings.keep)
    kept = [sample for sample in context.samples if states[sample.image_id] == KEPT]
    for name in settings.formats:
        records = map(partial(_to_record, files, settings), kept)
        shown: Iterator[ExportRecord] = track(records, context.progress, f"export {name}", len(kept))
        EXPORTERS.get(name)(shown, context.run.path / "export" / name, context.classes)
    _write_tables(context, files, states, failures)
    return {"images": len(kept), "formats": len(settings.formats)}, failures


def _compute_confidences(context: Context, files: StageFiles) -> list[Failure]:
    config, samples = context.config, finished(context, files)
    work = ConfidenceWork(files, config.refine.background_rule, config.refine.background, config.export.min_area)
    todo = missing(samples, partial(confidence_path, files))
    return do_images(todo, work, workers=config.workers, title="confidence", progress=context.progress)


def _choose(context: Context, files: StageFiles, keep: float) -> dict[str, str]:
    """The state of every image. Those without any class are kept: by their labels there is nothing to get wrong."""
    states = {sample.image_id: FAILED for sample in context.samples}
    confidences = {}
    for image_id in states:
        if confidence_path(files, image_id).exists():
            found = read_confidence(files, image_id)
            states[image_id] = KEPT
            confidences |= {image_id: found.confidence} if found.classes else {}
    best = keep_best(confidences, keep)
    return states | dict.fromkeys(confidences.keys() - best, LEFT_OUT)


def _write_tables(context: Context, files: StageFiles, states: dict[str, str], failures: Sequence[Failure]) -> None:
    folder, settings, read = context.run.path / "export", context.config.export, partial(read_confidence, files)
    write_image_table(folder / "confidence.csv", context.samples, states, read, context.classes)
    least = settings.min_confidence
    write_region_table(folder / "confidence_regions.csv", context.samples, states, read, context.classes, least)
    (folder / "review.csv").unlink(missing_ok=True)  # of an attempt after which a failed image was mended
    left_out = sum(state != KEPT for state in states.values())
    if settings.review == "list" and left_out:
        messages = {failure.image_id: failure.message for failure in failures}
        write_review_list(folder / "review.csv", context.samples, states, read, messages, context.classes)
        log.info("export: %d of %d images are left out, see %s", left_out, len(states), folder / "review.csv")


def _to_record(files: StageFiles, settings: ExportConfig, sample: Sample) -> ExportRecord:
    size = read_image_size(sample.image_path)
    min_pixels = count_least_pixels(settings.min_area, size)
    kept = _drop_regions(files, sample, settings.min_confidence, min_pixels)
    return ExportRecord(
        sample.image_id,
        sample.image_id + os.path.splitext(sample.image_path.name)[1],
        size,
        kept.label_map,
        kept.boxes,
        kept.confidences,
        min_pixels,
    )


@dataclass(frozen=True)
class _Kept:
    """What is left of an image's results."""

    label_map: LabelMap
    boxes: tuple[Box, ...]
    confidences: tuple[float, ...]


def _drop_regions(files: StageFiles, sample: Sample, least: float, min_pixels: int) -> _Kept:
    """Regions of a confidence below `least` become 255, and boxes without a pixel of their class are dropped.

    Regions of fewer than `min_pixels` have no confidence: where one is asked for, they become 255 too.
    """
    label_map, boxes = read_label_map(files.refined(sample.image_id)), read_boxes(files.boxes(sample.image_id))
    regions = read_confidence(files, sample.image_id).regions
    confidences = tuple(confidence for _, _, confidence in regions if confidence >= least)
    if least <= 0:
        return _Kept(label_map, tuple(boxes), confidences)
    left = label_map.copy()
    for class_id in sorted(set(np.unique(label_map).tolist()) - {BACKGROUND, IGNORE}):
        mine = [confidence for each, _, confidence in regions if each == class_id]
        left[_find_low(label_map == class_id, mine, least, min_pixels)] = IGNORE
    return _Kept(left, tuple(box for box in boxes if _is_shown(box, left)), confidences)


def _find_low(mask: Mask, confidences: Sequence[float], least: float, min_pixels: int) -> Mask:
    low = np.array([True, *(confidence < least for confidence in confidences)])  # first what is in no region
    found: Mask = mask & low[find_regions(mask, min_pixels).labels]
    return found


def _is_shown(box: Box, label_map: LabelMap) -> bool:
    x1, y1, x2, y2 = (max(0, round(side)) for side in box.xyxy)
    return bool((label_map[y1:y2, x1:x2] == box.class_id).any())
