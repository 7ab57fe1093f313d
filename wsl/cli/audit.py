"""`wsl audit`: its arguments, and the table of classes, worst first. What is heavy is imported when it runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsl.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from wsl.evaluate.localization.energy import EnergyShares
    from wsl.pipeline.auditing import Audit, ClassAudit
    from wsl.pipeline.photomontage import MontageScores

AUDIT_HELP = "do the classes of a run look at their objects or at the background?"
LEGEND = (
    "regions: share of the map's energy (x lift: 1 = as much as a uniform map would put there)",
    "contrast: mean score on the object over mean score off it",
    "score: of the image as it is; object on: the object pasted on the ground of another image of its class > on a "
    "foreign ground; ground alone: the own > the foreign ground without the object",
)
DONE, SOME_FAILED = 0, 4
SHOWN_FAILURES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `wsl audit`."""
    parser.add_argument("run", metavar="RUN", help="folder of a run whose score maps are made")
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="where things are now: data.root, model.checkpoint, device"
    )
    parser.add_argument("--images", type=int, default=20, help="images per class; default: 20")
    parser.add_argument("--examples", type=int, default=3, help="pictures of the worst images per class; default: 3")
    parser.add_argument("--no-montage", dest="montage", action="store_false", help="energy of the maps only")
    parser.add_argument("--output", help="folder for audit.json, audit.csv and pictures; default: RUN/audit")


def audit(options: argparse.Namespace) -> int:
    """Audits the run, writes its files, prints the table; exit code 4 when some images could not be read."""
    from wsl.cli.progress import choose_progress
    from wsl.pipeline.audit_files import FOLDER, write_audit
    from wsl.pipeline.auditing import Auditor, open_run
    from wsl.pipeline.output_folder import check_output_folder

    for name in ("images", "examples"):
        least = 1 if name == "images" else 0
        if getattr(options, name) < least:
            raise ConfigError(f"--{name}: expected at least {least}, but got {getattr(options, name)}.")
    output = None if options.output is None else check_output_folder(options.output)
    context = open_run(Path(options.run), options.overrides, choose_progress(options.quiet))
    auditor = Auditor(context, montage=options.montage)
    found = auditor.audit(options.images)
    folder = output or context.run.path / FOLDER
    write_audit(auditor, found, folder, options.examples)
    print_audit(found, folder)
    return SOME_FAILED if found.failures else DONE


def print_audit(found: Audit, folder: Path) -> None:
    """The table, what it means, and where the files are."""
    from wsl.cli.tables import console
    from wsl.pipeline.audit_objects import NOTES

    out = console()
    if found.classes:
        out.print(_table(found.classes))
    lines = ["", *LEGEND] if found.classes else ["Nothing to audit: no image of the run has a map and an object."]
    lines.append(NOTES[found.objects])
    lines += [f"failed: {failure.message}" for failure in found.failures[:SHOWN_FAILURES]]
    for line in [*lines, f"Files in {folder}"]:
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _table(classes: Sequence[ClassAudit]) -> Table:
    from rich.table import Table

    columns = ["class", "verdict", "images", "on object", "around it", "others", "border", "rest", "contrast"]
    table = Table(*columns, "score", "object on", "ground alone", box=None, pad_edge=False, header_style="bold")
    for each in classes:
        energy = _energy_cells(each.shares) if each.shares else ["-"] * 6
        montage = _montage_cells(each.montage) if each.montage else ["-"] * 3
        table.add_row(each.name, each.verdict, str(len(each.images)), *energy, *montage)
    return table


def _energy_cells(shares: EnergyShares) -> list[str]:
    """One cell per region, in the order of `REGIONS`, then the contrast."""
    pairs = zip(shares.energy, shares.lift, strict=True)
    cells = [f"{100 * share:.0f} %" + ("" if lift is None else f" (x{lift:.1f})") for share, lift in pairs]
    return [*cells, "-" if shares.contrast is None else f"{shares.contrast:.1f}"]


def _montage_cells(scores: MontageScores) -> list[str]:
    control = "-" if scores.control is None else f"{scores.control:.2f}"
    pairs = f"{control} > {scores.foreign:.2f}", f"{scores.removed:.2f} > {scores.empty:.2f}"
    return [f"{scores.score:.2f}", *pairs]
