"""`wsl tune`: its arguments, the table of the best trials and what mattered. What is heavy is imported when it runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from wsl.pipeline.tuning.trials import Outcome
    from wsl.pipeline.tuning.tuning import Tuning

TUNE_HELP = "thresholds and refiners of a run, searched on its score maps; without masks unless asked"
SHOWN = 10
DONE, SOME_FAILED = 0, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `wsl tune`."""
    parser.add_argument("run", metavar="RUN", help="folder of a run whose score maps are made")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="where things are now: data.root")
    search = "KEY=LOW..HIGH[:log] or KEY=A,B,C of boxes, seeds, refine, labels; may be repeated; default: per refiner"
    parser.add_argument("--search", action="append", default=[], metavar="KEY=VALUES", help=search)
    parser.add_argument("--method", action="append", default=[], help="a refiner, or a chain [a,b]; may be repeated")
    parser.add_argument("--objective", help="miou, boundary_miou, voc_ap, max_box_acc, ...; default: label-free")
    parser.add_argument("--split", help="whose images are used; default: the run's data.split; never test with truth")
    parser.add_argument("--trials", type=int, default=48, help="settings to try besides the run's own; default: 48")
    parser.add_argument("--images", type=int, default=60, help="images of the last round; default: 60")
    parser.add_argument("--seed", type=int, default=0, help="of the trials and of the order of the images")
    parser.add_argument("--workers", type=int, help="processes; default: the run's")
    parser.add_argument("--out", help="folder of the search; default: RUN/tune")


def tune(options: argparse.Namespace) -> int:
    """Searches, writes the files, prints the tables; exit code 4 when some images or trials failed."""
    from wsl.cli.progress import choose_progress
    from wsl.pipeline.auditing import open_run
    from wsl.pipeline.output_folder import check_output_folder
    from wsl.pipeline.tuning.tuning import FOLDER, TuneRequest, tune_run
    from wsl.pipeline.tuning.tuning_files import write_tuning

    request = TuneRequest(
        searches=tuple(options.search),
        methods=tuple(options.method),
        objective=options.objective,
        split=options.split,
        trials=options.trials,
        images=options.images,
        seed=options.seed,
        workers=options.workers,
    )
    output = None if options.out is None else check_output_folder(options.out)
    context = open_run(Path(options.run), options.overrides, choose_progress(options.quiet), "tune")
    folder = output or context.run.path / FOLDER
    found = tune_run(context, request, folder)
    write_tuning(found, folder, context.run.path)
    print_tuning(found, folder)
    return SOME_FAILED if found.failures else DONE


def print_tuning(found: Tuning, folder: Path) -> None:
    """The best trials, what mattered, what the numbers are worth, and the command that uses the best."""
    from wsl.cli.tables import console
    from wsl.pipeline.tuning.space import to_overrides
    from wsl.pipeline.tuning.tuning_files import show_command

    out = console()
    out.print(_table(found))
    if found.importance:
        out.print()
        out.print(_importance(found))
    lines = ["", f"{found.objective}: {found.about}"]
    lines += [f"{found.images} images of split '{found.chosen.split}'; {'; '.join(found.chosen.notes)}"]
    lines += [f"failed: {each.image_id}: {each.message}" for each in found.failures[:SHOWN]]
    if found.best.settings:
        lines += [f"best: {' '.join(to_overrides(found.best.settings))}", f"use it: {show_command(folder)}"]
    else:
        lines.append("No trial was better than the run's own settings.")
    for line in [*lines, f"Files in {folder}"]:
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _table(found: Tuning) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(found.objective, "gain", "settings", box=None, pad_edge=False, header_style="bold")
    best = list(found.ranked[:SHOWN])
    for outcome in best if found.own in best else [*best, found.own]:
        table.add_row(_number(outcome.value), _gain(outcome, found.own), escape(_show(outcome)))
    return table


def _show(outcome: Outcome) -> str:
    from wsl.pipeline.tuning.space import to_overrides

    return " ".join(to_overrides(outcome.settings)) or "the run's own settings"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _gain(outcome: Outcome, own: Outcome) -> str:
    if outcome.value is None or own.value is None or outcome is own:
        return ""
    return f"{outcome.value - own.value:+.4f}"


def _importance(found: Tuning) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("what mattered", "span", "share", "mean objective", box=None, pad_edge=False, header_style="bold")
    for each in found.importance:
        bins = ", ".join(f"{label}: {mean:.3f}" for label, mean, _ in each.bins)
        table.add_row(escape(each.key), f"{each.span:.4f}", f"{100 * each.share:.0f} %", escape(bins))
    return table
