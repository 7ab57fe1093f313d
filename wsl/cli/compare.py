"""`wsl compare`: its own settings among the overrides, and the tables on the terminal. Nothing heavy at import."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsl.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from wsl.config import Config
    from wsl.pipeline.comparing import CompareSettings, Comparison
    from wsl.pipeline.comparison_table import Row

COMPARE_HELP = "finished runs (RUN RUN ...): differences with intervals; or CAM methods on one classifier (KEY=VALUE)"
OVERRIDE_HELP = (
    "runs: folders of runs or of wsl evaluate --output, the first is the one that the others are compared to; seeds of "
    "one run with commas between them. Methods: "
    "methods=[cam,grad_cam] (default: all), images=40, randomised_images=10, tolerance=15 (pixels, pointing game), "
    "options.METHOD.NAME=VALUE, and settings such as data.root=DIR output=DIR"
)
OWN = ("methods", "images", "randomised_images", "tolerance", "options")
DONE, SOME_FAILED = 0, 4
SHOWN_FAILURES = 10


def add_arguments(parser: argparse.ArgumentParser, config_help: str) -> None:
    """The options of the verb."""
    parser.add_argument("overrides", nargs="*", metavar="RUN | KEY=VALUE", help=OVERRIDE_HELP)
    parser.add_argument("--score", action="append", default=[], help="runs: only this score; may be repeated")
    parser.add_argument("--images", default="same", help="runs: same (default) or common images")
    parser.add_argument("--replicates", type=int, default=1000, help="runs: bootstrap samples and swaps")
    parser.add_argument("--level", type=float, default=0.95, help="runs: of intervals and tests; default: 0.95")
    parser.add_argument("--interval-method", default="percentile", help="runs: percentile (default) or bca")
    parser.add_argument("--output", help="runs: CSV file of all differences")
    parser.add_argument("--config", help=config_help)
    parser.add_argument("--overwrite", action="store_true", help="replace a classifier trained with other settings")


def compare(options: argparse.Namespace) -> int:
    """Measures, writes the tables, prints one; exit code 4 when some images or methods failed. Finished runs are
    compared by what is stored of them."""
    if options.overrides and not any("=" in each for each in options.overrides):
        from wsl.cli.compare_runs import compare_finished_runs

        return compare_finished_runs(options)
    from wsl.cli.progress import choose_progress
    from wsl.config import load_config
    from wsl.pipeline.comparing import compare_methods
    from wsl.pipeline.context import Context
    from wsl.pipeline.run_folder import RunFolder

    own = [each for each in options.overrides if _key(each).split(".")[0] in OWN]
    rest = [each for each in options.overrides if each not in own]
    config = load_config(options.config, rest)
    settings = read_settings(own, config, {_key(each) for each in rest})
    context = Context(config, RunFolder(Path(config.output)), choose_progress(options.quiet), options.overwrite)
    found = compare_methods(context, settings)
    print_comparison(found, context.run.path)
    return SOME_FAILED if found.failures else DONE


def _key(override: str) -> str:
    return override.split("=")[0]


def read_settings(own: Sequence[str], config: Config, given: set[str]) -> CompareSettings:
    """The settings of the comparison; scales and flip are those of the configuration only when `given` by hand."""
    from wsl.pipeline.comparing import CompareSettings

    values = _read_own(own)
    methods = values.get("methods") or []
    methods = methods.split(",") if isinstance(methods, str) else methods
    options = values.get("options") or {}
    if not isinstance(methods, list) or not all(isinstance(each, str) for each in methods):
        raise ConfigError(f"methods: expected names such as [cam,grad_cam], but got {methods!r}.")
    if not isinstance(options, dict) or not all(isinstance(each, dict) for each in options.values()):
        raise ConfigError(f"options: expected options.METHOD.NAME=VALUE, but got {options!r}.")
    return CompareSettings(
        methods=tuple(methods),
        options=options,
        images=_number(values, "images", 40, int),
        randomised_images=_number(values, "randomised_images", 10, int),
        tolerance=_number(values, "tolerance", 15, (int, float)),
        scales=tuple(config.cam.scales) if "cam.scales" in given else (1.0,),
        flip=config.cam.flip if "cam.flip" in given else False,
    )


def _read_own(own: Sequence[str]) -> dict[str, Any]:
    from omegaconf import OmegaConf

    for each in own:
        if "=" not in each:
            raise ConfigError(f"Expected key=value, but got '{each}'.")
    try:
        values = OmegaConf.to_container(OmegaConf.from_dotlist(list(own)))
    except Exception as error:  # the parser's own classes are not a dependency of ours
        raise ConfigError(f"Command line: {' '.join(str(error).split())}") from None
    return {str(key): value for key, value in values.items()} if isinstance(values, dict) else {}


def _number(values: Mapping[str, Any], key: str, default: float, kinds: Any) -> Any:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ConfigError(f"{key}: expected a number, but got {value!r}.")
    return value


def print_comparison(found: Comparison, run: Path) -> None:
    """The tables, options, methods that do not fit, what all is of, and where the files are."""
    from wsl.cli.tables import console
    from wsl.pipeline.comparison_table import show_options, sort_rows

    rows, out = sort_rows(found.rows), console()
    for table in _tables(rows):
        out.print(table)
        out.print()
    lines = [f"{row.method}: {row.reason}" for row in rows if row.reason is not None]
    lines += [f"{row.method}: {show_options(row.options)}" for row in rows if row.reason is None and row.options]
    lines += ["", *found.caption]
    lines += [f"failed: {failure.message}" for failure in found.failures[:SHOWN_FAILURES]]
    lines.append(f"Tables in {run / 'compare'}")
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _tables(rows: Sequence[Row]) -> list[Table]:
    """One table per group of columns: all in one would be too wide for a terminal."""
    from rich.table import Table

    from wsl.pipeline.comparison_table import GROUPS, list_columns, show_value

    tables = []
    for group in GROUPS:
        columns = [column for column in list_columns(rows) if column in group]
        table = Table("method", *(each.title for each in columns), box=None, pad_edge=False, header_style="bold")
        table.columns[0].no_wrap = True
        for row in rows:
            if row.reason is None:
                table.add_row(row.method, *(show_value(column, row) for column in columns))
        if columns and table.row_count:
            tables.append(table)
    return tables
