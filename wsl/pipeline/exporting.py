"""The export stage: the refined label maps and the boxes in other tools' formats."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from wsl.data.images import read_image_size
from wsl.data.label_maps import read_label_map
from wsl.export import EXPORTERS, ExportRecord
from wsl.pipeline.context import Context
from wsl.pipeline.scoring import finished
from wsl.pipeline.work import StageFiles, read_boxes
from wsl.progress import track
from wsl.types import Sample


def export_run(context: Context, files: StageFiles) -> dict[str, int]:
    """Writes export/<format>/ for each of `export.formats`; returns how many images went out."""
    samples = finished(context, files)
    for name in context.config.export.formats:
        records = map(partial(_to_record, context, files), samples)
        shown: Iterator[ExportRecord] = track(records, context.progress, f"export {name}", len(samples))
        EXPORTERS.get(name)(shown, context.run.path / "export" / name, context.classes)
    return {"images": len(samples), "formats": len(context.config.export.formats)}


def _to_record(context: Context, files: StageFiles, sample: Sample) -> ExportRecord:
    return ExportRecord(
        sample.image_id,
        sample.image_id + os.path.splitext(sample.image_path.name)[1],
        read_image_size(sample.image_path),
        read_label_map(files.refined(sample.image_id)),
        tuple(read_boxes(files.boxes(sample.image_id))),
    )
