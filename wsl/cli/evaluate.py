"""`wsl evaluate`: a run, or any results against any ground truth. Nothing heavy at import."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from wsl.errors import ConfigError

if TYPE_CHECKING:
    from wsl.evaluate.files.options import EvaluateOptions

EVALUATE_HELP = "score results: a run (--config), or any PRED against any GT"
TARGETS_HELP = (
    "PRED: folder of label-map PNGs, score maps (.npz, .npy, grey PNGs), boxes (.json, VOC .xml) or masks (RLE .json), "
    "or COCO JSON; GT: folder of label-map PNGs, data set, COCO JSON, or a folder of wsolevaluation's metadata"
)
THRESHOLD_HELP = (
    "of score maps, may be given several times: a number, oracle, label_free, label_free:RULE, val:SPLIT (chosen on "
    "another split), from:FOLDER (chosen in another evaluation); default: oracle"
)
PROTOCOL_HELP = "of MaxBoxAcc and PxAP, see docs/metrics.md; default: original, or wsolevaluation against its metadata"
VALUES_HELP = "values of that rule, with commas; default: 0, 0.01, .. 0.99, for power 0.5, 1, 2, 4, .. 64"
DONE = 0
REPLICATES = 1000


def add_arguments(parser: argparse.ArgumentParser, config_help: str) -> None:
    """The options of the verb."""
    parser.add_argument("targets", nargs="*", metavar="PRED GT | KEY=VALUE", help=TARGETS_HELP)
    parser.add_argument("--config", help=config_help + "; scores that run")
    what = parser.add_argument_group("what is scored")
    what.add_argument("--kind", default="auto", help="what PRED is: label_maps, score_maps, boxes, masks, coco")
    what.add_argument("--split", help="split of GT that is scored")
    what.add_argument("--classes", help="text file with one class name per line")
    what.add_argument("--metrics", default="", help="names with commas, or all; default: the usual ones")
    what.add_argument("--list-metrics", action="store_true", help="print the metrics and stop")
    what.add_argument("--threshold", action="append", default=[], metavar="WAY", help=THRESHOLD_HELP)
    how = parser.add_argument_group("conventions")
    how.add_argument("--predicted-ignore", default="background", help="predicted 255: background, exclude or error")
    how.add_argument("--absent", default="skip", help="classes absent from GT: skip, ground_truth or zero")
    how.add_argument("--background", default="include", help="background in the mean: include or exclude")
    how.add_argument("--missing", default="error", help="images without prediction: error, skip or background")
    how.add_argument("--rule", default="constant", help="background score of score maps: constant, or power")
    how.add_argument(
        "--values",
        default="",
        help="values of that rule, with commas; default: 0, 0.01, .. 0.99; of power 0.5, 1, 2, .. 64",
    )
    how.add_argument("--protocol", help=PROTOCOL_HELP)
    how.add_argument("--boundary", action="store_true", help="boundary AP of instance masks too (wsl[fast])")
    more = parser.add_argument_group("files and certainty")
    more.add_argument("--mask-root", help="folder of the masks that wsolevaluation's metadata names")
    more.add_argument("--rankings", help="CSV of predicted classes per image, for Top-1 and Top-5 localization")
    more.add_argument("--intervals", type=int, default=REPLICATES, help="bootstrap samples; 0 = no intervals")
    more.add_argument("--level", type=float, default=0.95, help="of the intervals; default: 0.95")
    more.add_argument("--interval-method", default="percentile", help="percentile (default) or bca")
    more.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; default: all cores")
    more.add_argument("--output", help="folder for scores.json, scores.csv and per_image/")
    parser.set_defaults(overwrite=False)


def evaluate(options: argparse.Namespace) -> int:
    """The evaluate stage of a run, or any PRED against any GT."""
    if options.list_metrics:
        return _list_metrics()
    paths = [target for target in options.targets if "=" not in target]
    if not paths:
        from wsl.cli.verbs import run_stages

        options.overrides = options.targets
        return run_stages(options)
    if len(paths) != 2 or len(options.targets) != 2 or options.config:
        raise ConfigError(f"Expected PRED and GT, or --config FILE and key=value, but got {' '.join(options.targets)}.")
    return _evaluate_paths(options, Path(paths[0]), Path(paths[1]))


def _evaluate_paths(options: argparse.Namespace, prediction: Path, truth: Path) -> int:
    from wsl.cli.progress import choose_progress
    from wsl.cli.tables import print_scores
    from wsl.evaluate.files.options import write_evaluation
    from wsl.evaluate.files.paths import evaluate_paths
    from wsl.pipeline.map_files import read_any_map

    chosen, progress = _read_options(options), choose_progress(options.quiet)
    evaluation = evaluate_paths(prediction, truth, chosen, progress, read_any_map)
    if options.output:
        write_evaluation(Path(options.output), evaluation)
    print_scores(evaluation.scores)
    return DONE


def _read_options(options: argparse.Namespace) -> EvaluateOptions:
    from wsl.evaluate.files.options import EvaluateOptions
    from wsl.pipeline.context import read_class_names
    from wsl.types import ClassSet

    names = read_class_names(options.classes)
    return EvaluateOptions(
        classes=ClassSet(names) if names else None,
        kind=options.kind,
        split=options.split,
        metrics=_split(options.metrics),
        thresholds=tuple(options.threshold),
        rule=options.rule,
        values=tuple(_number(text) for text in _split(options.values)),
        protocol=options.protocol,
        predicted_ignore=options.predicted_ignore,
        absent=options.absent,
        background=options.background,
        missing=options.missing,
        workers=options.workers,
        intervals=options.intervals,
        level=options.level,
        interval_method=options.interval_method,
        boundary=options.boundary,
        mask_root=Path(options.mask_root) if options.mask_root else None,
        rankings=Path(options.rankings) if options.rankings else None,
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--values: expected numbers with commas between them, but got '{text}'.") from None


def _list_metrics() -> int:
    from rich.table import Table

    from wsl.cli.tables import console
    from wsl.evaluate.metrics import METRICS

    table = Table("metric", "of", "default", "what", box=None, pad_edge=False, header_style="bold")
    for name in METRICS.in_order():
        spec = METRICS.get(name)
        table.add_row(name, spec.kind.replace("_", " "), "yes" if spec.is_default else "", spec.about)
    console().print(table)
    return DONE
