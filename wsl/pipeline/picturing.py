"""The report stage: a picture per image with every step side by side."""

from __future__ import annotations

from wsl.data.ground_truth import read_ground_truth
from wsl.data.images import read_image
from wsl.data.label_maps import read_label_map
from wsl.errors import DataError
from wsl.pipeline.context import Context
from wsl.pipeline.scoring import finished
from wsl.pipeline.work import StageFiles, read_boxes
from wsl.report.overlay import write_png
from wsl.report.overlays import draw_sample_panel
from wsl.types import Image, LabelMap, Sample


def draw_overlays(context: Context, files: StageFiles) -> int:
    """Writes overlays/<image id>.png for `report.overlays` images; returns how many."""
    chosen = spread([s for s in finished(context, files) if s.class_ids != ()], context.config.report.overlays)
    for sample in chosen:
        picture = draw_sample(context, files, sample)
        write_png(context.run.path / "overlays" / f"{sample.image_id}.png", picture)
    return len(chosen)


def spread(samples: list[Sample], count: int) -> list[Sample]:
    """`count` samples at even distances through the list, so that every part of a sorted data set is seen."""
    if count >= len(samples):
        return samples
    return [samples[index * len(samples) // count] for index in range(count)]


def draw_sample(context: Context, files: StageFiles, sample: Sample) -> Image:
    """Image, score maps, boxes, seeds, refined and ground truth side by side."""
    maps = files.read_maps(sample.image_id)
    return draw_sample_panel(
        read_image(sample.image_path),
        maps,
        read_boxes(files.boxes(sample.image_id)),
        read_label_map(files.seeds(sample.image_id)),
        read_label_map(files.refined(sample.image_id)),
        _truth_or_none(context, sample, maps.size),
        context.classes,
    )


def _truth_or_none(context: Context, sample: Sample, size: tuple[int, int]) -> LabelMap | None:
    """A mask that does not fit is told by the evaluate stage; the picture goes without it."""
    try:
        return read_ground_truth(sample, size, len(context.classes))
    except DataError:
        return None
