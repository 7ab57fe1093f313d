"""What `wsl check` prints."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from wsl.cli.tables import console
from wsl.data.check import CheckReport


def print_report(report: CheckReport) -> None:
    """Format, counts, classes, sizes, notes, problems."""
    out = console()
    why = f" ({report.why})" if report.why else ""
    lines = [f"{report.root}: format {report.format}{why}", f"{report.images} usable images"]
    lines += [f"  {report.background_only} without an object, {report.unlabelled} without labels"]
    if report.split_counts:
        lines.append(f"splits: {_counts(report.split_counts)}")
    if report.sizes is not None:
        heights, widths = report.sizes.heights, report.sizes.widths
        lines.append(f"heights {_range(heights)}, widths {_range(widths)} (smallest, median, largest)")
    lines.append(f"modes: {_counts(report.modes)}")
    out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    out.print(_class_table(report))
    for kind, found in (("note", report.notes), ("PROBLEM", report.problems)):
        for each in found:
            out.print(f"{kind}: {each}", highlight=False, markup=False, soft_wrap=True)
    verdict = f"{len(report.problems)} problems" if report.problems else "no problems"
    out.print(f"{verdict}, {len(report.notes)} notes", highlight=False)


def _class_table(report: CheckReport) -> Table:
    table = Table("id", "class", "images", "", box=None, pad_edge=False, header_style="bold")
    most = max(report.class_counts.values(), default=0) or 1
    for class_id, name in enumerate(report.class_names, start=1):
        count = report.class_counts.get(name, 0)
        table.add_row(str(class_id), name, str(count), "#" * round(40 * count / most))
    return table


def _range(values: tuple[int, int, int]) -> str:
    return " ".join(str(value) for value in values)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
