"""Does a label-free objective order settings as the true mIoU does? Spearman's rank correlation, run by run.

Each --run is the folder of a finished run whose data set has masks. The settings are trials of `wsl tune`'s own search
space; masks judge the objectives, which never see them. The default objective was chosen here.

    python benchmarks/study_objectives.py --run runs/demo --run runs/magnetic_tile --images 16 --trials 24
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from measuring import describe_setting, save_result
from scipy.stats import spearmanr

from wsl.evaluate.metrics.case import LabelMapCase
from wsl.evaluate.metrics.label_map_metrics import Miou
from wsl.evaluate.metrics.metric import MetricSettings
from wsl.pipeline.auditing import open_run
from wsl.pipeline.context import Context
from wsl.pipeline.label_maker import build_label_maker
from wsl.pipeline.tuning.choosing_images import choose_images
from wsl.pipeline.tuning.images import ImageReader, TuningImage, shuffle
from wsl.pipeline.tuning.trying import Look, configure
from wsl.pipeline.tuning.tuning import TuneRequest, list_trials, make_space, write_base
from wsl.pipeline.work import StageFiles
from wsl.quality.label_free_objectives import DEFAULT_OBJECTIVE, LABEL_FREE_OBJECTIVES, LabelledCase, UnlabelledCase
from wsl.seeds.label_free import LabelFree

NAMES = LABEL_FREE_OBJECTIVES.in_order()


def study_run(context: Context, count: int, trials: int, methods: tuple[str, ...]) -> dict[str, Any]:
    """Objectives and mIoU of every trial, and how far they go together."""
    reader = ImageReader(StageFiles(context.run.path), len(context.classes), with_views=True, with_truth=True)
    samples = [each for each in choose_images(context, None, label_free=False).samples if each.class_ids]
    samples = shuffle(samples, count, seed=0)
    threshold = LabelFree(Look.thresholds())
    for sample in samples:
        look = Look(reader)(sample)
        if isinstance(look, LabelFree):
            threshold.merge(look)
    images = [reader.read(sample) for sample in samples]
    request = TuneRequest(methods=methods, trials=trials)
    rows = []
    with TemporaryDirectory() as folder:
        base = Path(folder) / "base.yaml"
        write_base(base, context.config)
        for settings in list_trials(base, make_space(context.config, request), request):
            rows.append(judge(context, base, settings, images, threshold.choose().threshold))
            sys.stderr.write(f"{context.run.path.name} {len(rows)}: {rows[-1]}\n")
    scores = [row["miou"] for row in rows]
    found: dict[str, Any] = {"images": len(images), "trials": len(rows), "best": max(scores), "own": scores[0]}
    for name in NAMES:
        values = [row[name] for row in rows]
        picked = scores[max(range(len(rows)), key=values.__getitem__)]
        found[name] = {"spearman": float(spearmanr(values, scores)[0]), "picked": picked}
    return found


def judge(
    context: Context, base: Path, settings: dict[str, Any], images: list[TuningImage], threshold: float
) -> dict[str, float]:
    """Every objective, and mIoU, of one trial."""
    make, metric = build_label_maker(configure(base, settings)), Miou(MetricSettings(context.classes))
    values: dict[str, list[float]] = {name: [] for name in NAMES}
    for each in images:
        ids = each.maps.class_ids
        case = UnlabelledCase(each.image, each.maps.scores, each.views, ids, threshold)
        labelled = LabelledCase(case, make.for_image(each.image, ids))
        for name in NAMES:
            values[name].append(LABEL_FREE_OBJECTIVES.get(name).rate(labelled))
        if each.truth is not None:
            metric.update(LabelMapCase(each.sample.image_id, each.truth, labelled.whole))
    return {name: mean(values[name]) for name in NAMES} | {"miou": metric.scores()[0].value or 0.0}


def main() -> int:
    """Prints a row per objective; --save writes benchmarks/results/study_objectives.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", action="append", required=True, help="folder of a finished run")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--method", action="append", default=[], help="default: all refiners")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    found = {}
    for run in options.run:
        context = open_run(Path(run), verb="tune")
        found[Path(run).name] = study_run(context, options.images, options.trials, tuple(options.method))
    for name in NAMES:
        rows = [(each[name], each["best"]) for each in found.values()]
        cells = [f"{row['spearman']:6.2f} ({row['picked']:.3f} of {best:.3f})" for row, best in rows]
        average = mean(each[name]["spearman"] for each in found.values())
        print(f"{name:22s} {average:6.2f}   {'   '.join(cells)}{'   default' if name == DEFAULT_OBJECTIVE else ''}")
    if options.save:
        save_result("study_objectives", {"setting": describe_setting(), "runs": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
