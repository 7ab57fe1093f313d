"""What each verb does: read the options, call the pipeline, print the outcome."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsl.cli.audit import audit
from wsl.cli.compare import compare
from wsl.cli.evaluate import evaluate
from wsl.cli.explain import explain
from wsl.cli.progress import choose_progress
from wsl.cli.tables import console, print_scores
from wsl.cli.tune import tune
from wsl.config import Config, load_config

if TYPE_CHECKING:
    from wsl.pipeline.run_folder import RunFolder

DONE, SOME_FAILED = 0, 4
SHOWN_FAILURES = 10


def run_stages(options: argparse.Namespace) -> int:
    """`run`, and each stage alone."""
    from wsl.pipeline.run_folder import RunFolder

    config = load_config(options.config, options.overrides)
    return _run(options, config, RunFolder(Path(config.output)))


def demo(options: argparse.Namespace) -> int:
    """Draws a data set into the run folder and runs every stage on it."""
    from wsl.pipeline.demo import draw_demo_data
    from wsl.pipeline.run_folder import RunFolder

    config = load_config("demo", options.overrides)
    options.overwrite, options.verb = False, "run"
    run = RunFolder(Path(config.output))
    draw_demo_data(config, run)
    return _run(options, config, run)


def _run(options: argparse.Namespace, config: Config, run: RunFolder) -> int:
    from wsl.pipeline.context import Context
    from wsl.pipeline.run import run_all, run_one

    context = Context(config, run, choose_progress(options.quiet), options.overwrite)
    results = run_all(context) if options.verb == "run" else run_one(context, options.verb)
    return _tell(run.path, results)


def _tell(path: Path, results: Sequence[object]) -> int:
    from wsl.evaluate.result import read_scores
    from wsl.pipeline.run import StageResult

    stages = [result for result in results if isinstance(result, StageResult)]
    out = console()
    if any(result.name == "evaluate" for result in stages):
        print_scores(read_scores(path / "scores"))
    failures = [(result.name, failure) for result in stages for failure in result.failures]
    if all(result.state != "done" for result in stages):
        out.print(f"Nothing to do: {path} is up to date.", highlight=False)
    else:
        out.print(f"Results in {path}", highlight=False)
    for stage, failure in failures[:SHOWN_FAILURES]:
        out.print(f"failed in {stage}: {failure.message}", highlight=False, markup=False)
    if len(failures) > SHOWN_FAILURES:
        out.print(f"... and {len(failures) - SHOWN_FAILURES} more failures, all in {path / 'manifest.json'}")
    return SOME_FAILED if failures else DONE


def check(options: argparse.Namespace) -> int:
    """Reads a data set completely; exit code 3 when it has problems."""
    from wsl.cli.checking import print_report
    from wsl.data.check import check_dataset
    from wsl.pipeline.context import read_class_names

    report = check_dataset(
        Path(options.data),
        format=options.format,
        split=options.split,
        classes=read_class_names(options.classes),
        background_class=options.background_class,
        progress=choose_progress(options.quiet),
    )
    print_report(report)
    return 3 if report.problems else DONE


def show_config(options: argparse.Namespace) -> int:
    """Prints the settings of a configuration as YAML, or the list of presets."""
    from wsl.config import preset_folders, show_yaml

    out = console()
    if options.list:
        names = sorted({path.stem for folder in preset_folders() for path in folder.glob("*.yaml")})
        out.print("\n".join(names), highlight=False)
    else:
        out.print(show_yaml(options.config, options.overrides), highlight=False, markup=False, soft_wrap=True)
    return DONE


def info(options: argparse.Namespace) -> int:
    """Versions, devices, optional packages."""
    from wsl.cli.about import describe_machine

    console().print(describe_machine(), highlight=False, markup=False, soft_wrap=True)
    return DONE


Verb = Callable[[argparse.Namespace], int]
STAGE_VERBS = ("run", "train", "cams", "boxes", "seeds", "refine", "export", "report")
VERBS: dict[str, Verb] = dict.fromkeys(STAGE_VERBS, run_stages)
VERBS |= {"demo": demo, "check": check, "evaluate": evaluate, "config": show_config, "info": info, "explain": explain}
VERBS |= {"audit": audit, "compare": compare, "tune": tune}
