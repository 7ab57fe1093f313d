"""Every refiner on the same score maps: mIoU, boundary mIoU, coverage, time, and the objectives that see no masks.

Each --run is the folder of a finished run whose data set has masks. Background and seeds are those of the run; refiners
have their default options, or those written beside them. `*` marks the refiner that the label-free objective of --by
would choose; masks only judge the choice.

    python benchmarks/table_refiners.py --run runs/demo --run runs/magnetic_tile --run runs/coco_mini
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from measuring import describe_setting, save_result

from wsl.config import Config, load_config
from wsl.evaluate.metrics.case import LabelMapCase
from wsl.evaluate.metrics.label_map_metrics import BoundaryMiou, Miou
from wsl.evaluate.metrics.metric import MetricSettings
from wsl.pipeline.auditing import open_run
from wsl.pipeline.context import Context
from wsl.pipeline.label_maker import LabelMaker, build_label_maker
from wsl.pipeline.tuning.choosing_images import choose_images
from wsl.pipeline.tuning.images import ImageReader, TuningImage, shuffle
from wsl.pipeline.tuning.trying import Look
from wsl.pipeline.tuning.tuning import write_base
from wsl.pipeline.work import StageFiles
from wsl.quality.label_free_objectives import LABEL_FREE_OBJECTIVES, UnlabelledCase, rate_labels
from wsl.seeds.label_free import LabelFree

WAYS: tuple[tuple[str, ...], ...] = (
    ("refine.method=none",),
    ("refine.method=dense_crf", "refine.options.preset=irn"),
    ("refine.method=dense_crf", "refine.options.preset=psa"),
    ("refine.method=dense_crf", "refine.options.preset=clip_es"),
    ("refine.method=dense_crf", "refine.options.preset=small_texture"),
    ("refine.method=dense_crf", "refine.options.preset=irn", "refine.options.size_reference=500"),
    ("refine.method=random_walk",),
    ("refine.method=random_walk", "refine.options.preset=colour"),
    ("refine.method=pamr",),
    ("refine.method=par",),
    ("refine.method=region_grow",),
    ("refine.method=guided_filter",),
    ("refine.method=superpixels",),
    ("refine.method=superpixels", "refine.options.algorithm=felzenszwalb"),
    ("refine.method=grab_cut",),
    ("refine.method=random_walker",),
    ("refine.method=[pamr,dense_crf]",),
    ("refine.method=[random_walk,pamr]",),
)


@dataclass(frozen=True)
class Row:
    """One refiner on one run."""

    way: str
    miou: float
    boundary: float
    coverage: float
    milliseconds: float
    objectives: dict[str, float]


def name_way(overrides: Sequence[str]) -> str:
    """`dense_crf preset=irn`."""
    return " ".join(each.removeprefix("refine.method=").removeprefix("refine.options.") for each in overrides)


def load_images(context: Context, count: int, blind: bool) -> tuple[list[TuningImage], float]:
    """Images with classes, and the threshold that the label-free rule chooses for their maps."""
    reader = ImageReader(StageFiles(context.run.path), len(context.classes), with_views=True, with_truth=not blind)
    samples = [each for each in choose_images(context, None, label_free=blind).samples if each.class_ids]
    threshold, images = LabelFree(Look.thresholds()), []
    for sample in shuffle(samples, count, seed=0):
        images.append(reader.read(sample))
        look = Look(reader)(sample)
        if isinstance(look, LabelFree):
            threshold.merge(look)
    return images, threshold.choose().threshold


def measure(
    way: str, make: LabelMaker, context: Context, images: Sequence[TuningImage], threshold: float, names: Sequence[str]
) -> Row:
    """One row of the table."""
    settings = MetricSettings(context.classes)
    miou, boundary, decided, pixels = Miou(settings), BoundaryMiou(settings), 0, 0
    times, rated = [], []
    for each in images:
        began = time.perf_counter()
        labels = make(each.image, each.maps.scores, each.maps.class_ids)
        times.append(time.perf_counter() - began)
        decided, pixels = decided + int((labels != 255).sum()), pixels + labels.size
        for metric in (miou, boundary) if each.truth is not None else ():
            metric.update(LabelMapCase(each.sample.image_id, each.truth, labels))
        if names:
            case = UnlabelledCase(each.image, each.maps.scores, each.views, each.maps.class_ids, threshold)
            rated.append(rate_labels(names, case, make.for_image(each.image, each.maps.class_ids)))
    objectives = {name: mean(one[name] for one in rated) for name in names}
    return Row(way, *_values(miou, boundary), decided / pixels, 1000 * median(times), objectives)


def _values(*metrics: Any) -> list[float]:
    return [metric.scores()[0].value if metric.scores()[0].value is not None else float("nan") for metric in metrics]


def configure(context: Context, overrides: Sequence[str], folder: Path) -> Config:
    """The run's settings with these in their place; argmax without cleaning, so that refiners alone differ."""
    base = folder / "base.yaml"
    write_base(base, context.config)
    return load_config(str(base), [*overrides, "labels.rule=argmax"])


def table_of(run: Path, count: int, names: Sequence[str], ways: Sequence[tuple[str, ...]], blind: bool) -> list[Row]:
    """All rows of one run."""
    from tempfile import TemporaryDirectory

    context = open_run(run, verb="tune")
    images, threshold = load_images(context, count, blind)
    rows = []
    with TemporaryDirectory() as folder:
        for overrides in ways:
            make = build_label_maker(configure(context, overrides, Path(folder)), context.classes)
            make(images[0].image, images[0].maps.scores, images[0].maps.class_ids)  # compiles
            rows.append(measure(name_way(overrides), make, context, images, threshold, names))
            sys.stderr.write(f"{run.name}: {rows[-1]}\n")
    return rows


def print_table(run: str, rows: Sequence[Row], names: Sequence[str], by: str) -> None:
    """Markdown."""
    best = max(rows, key=lambda row: row.objectives.get(by, 0.0)).way if by in names else ""
    print(f"\n| {run} | mIoU | boundary mIoU | coverage | ms per image | {' | '.join(names)} |")
    print("|" + "---|" * (5 + len(names)))
    for row in rows:
        cells = [f"{row.miou:.3f}", f"{row.boundary:.3f}", f"{row.coverage:.2f}", f"{row.milliseconds:.0f}"]
        cells += [f"{row.objectives[name]:.3f}" for name in names]
        print(f"| {row.way}{' *' if row.way == best else ''} | {' | '.join(cells)} |")


def main() -> int:
    """Prints a table per run; --save writes benchmarks/results/table_refiners.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", action="append", required=True, help="folder of a finished run")
    parser.add_argument("--images", type=int, default=1000, help="at most so many, drawn at random")
    parser.add_argument("--objective", action="append", default=[], help="label-free objectives to show")
    parser.add_argument("--by", default="", help="the one that chooses")
    parser.add_argument("--way", nargs="+", action="append", help="overrides of one row, in place of all rows")
    parser.add_argument("--blind", action="store_true", help="no masks: the objectives alone")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    names = tuple(options.objective) if options.objective != ["all"] else tuple(LABEL_FREE_OBJECTIVES.in_order())
    ways = tuple(tuple(way) for way in options.way) if options.way else WAYS
    found = {}
    for run in options.run:
        rows = table_of(Path(run), options.images, names, ways, options.blind)
        print_table(Path(run).name, rows, names, options.by)
        found[Path(run).name] = [vars(row) for row in rows]
    if options.save:
        save_result("table_refiners", {"setting": describe_setting(), "runs": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
