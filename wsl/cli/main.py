"""The `wsl` command: parser, exit codes, error printing. Imports nothing heavy, so `wsl --help` is instant.

Exit codes: 0 done, 1 bug, 2 bad command or configuration, 3 bad data, 4 done but some images failed.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from wsl.cli.audit import AUDIT_HELP
from wsl.cli.audit import add_arguments as add_audit_arguments
from wsl.cli.compare import COMPARE_HELP
from wsl.cli.compare import add_arguments as add_compare_arguments
from wsl.cli.evaluate import EVALUATE_HELP
from wsl.cli.evaluate import add_arguments as add_evaluate_arguments
from wsl.cli.explain import EXPLAIN_HELP
from wsl.cli.explain import add_arguments as add_explain_arguments
from wsl.cli.tune import TUNE_HELP
from wsl.cli.tune import add_arguments as add_tune_arguments
from wsl.errors import WslError
from wsl.version import __version__

STAGE_HELP = {
    "run": "every stage of a configuration, in order",
    "train": "a classifier from image-level labels",
    "cams": "score maps of the classes of each image",
    "boxes": "boxes around the strong regions of the maps",
    "seeds": "seed masks: sure foreground, sure background, 255 = not sure",
    "refine": "final masks from the seeds or maps and the image",
    "export": "VOC and COCO files of the results",
    "report": "overlays of a few images",
}
CONFIG_HELP = "a YAML file or the name of a preset (magnetic_tile, coco_mini, ...)"
OVERRIDE_HELP = "settings, such as data.root=DIR output=DIR seed=1 (`wsl config` lists them all)"


def build_parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    parser = argparse.ArgumentParser(
        prog="wsl", description="Boxes and masks from image-level labels, with honest scores."
    )
    parser.add_argument("--version", action="version", version=f"wsl {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _verb(verbs, "demo", "draw images, train, make boxes and masks, print their scores (about a minute, no download)")
    check = _verb(verbs, "check", "read a data set completely and list every problem", overrides=False)
    check.add_argument("data", metavar="DATA", help="folder, CSV, JSONL or COCO JSON")
    check.add_argument("--format", default="auto", help="voc, coco, folder or table; default: guessed, with the reason")
    check.add_argument("--split", help="only this split")
    check.add_argument("--classes", help="text file with one class name per line")
    check.add_argument("--background-class", help="class folder that means 'no object' (folder format)")
    for name, text in STAGE_HELP.items():
        _stage_verb(verbs, name, text)
    add_evaluate_arguments(_verb(verbs, "evaluate", EVALUATE_HELP, overrides=False), CONFIG_HELP)
    add_explain_arguments(_verb(verbs, "explain", EXPLAIN_HELP, overrides=False))
    add_audit_arguments(_verb(verbs, "audit", AUDIT_HELP, overrides=False))
    add_compare_arguments(_verb(verbs, "compare", COMPARE_HELP, overrides=False), CONFIG_HELP)
    add_tune_arguments(_verb(verbs, "tune", TUNE_HELP, overrides=False))
    config = _verb(verbs, "config", "print all settings of a configuration as YAML, or list the presets")
    config.add_argument("--config", help=CONFIG_HELP)
    config.add_argument("--list", action="store_true", help="list the presets that come with wsl")
    _verb(verbs, "info", "versions, devices, optional packages", overrides=False)
    return parser


def _verb(verbs: argparse._SubParsersAction, name: str, text: str, overrides: bool = True) -> argparse.ArgumentParser:  # type: ignore[type-arg]
    parser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument("--debug", action="store_true", help="full tracebacks and debug messages")
    parser.add_argument("--quiet", action="store_true", help="warnings and results only")
    if overrides:
        parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=OVERRIDE_HELP)
    return parser


def _stage_verb(verbs: argparse._SubParsersAction, name: str, text: str) -> None:  # type: ignore[type-arg]
    parser = _verb(verbs, name, text)
    parser.add_argument("--config", help=CONFIG_HELP)
    parser.add_argument("--overwrite", action="store_true", help="replace a classifier trained with other settings")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = build_parser().parse_args(arguments)
    # Threads that wait must sleep: on busy cores, spinning ones make training many times slower. Read by OpenMP when
    # torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # NumPy's products here are small: on two busy cores, interpolating a map took ten times as long with two threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    level = logging.DEBUG if options.debug else logging.WARNING if options.quiet else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("wsl").setLevel(level)
    try:
        from wsl.cli import verbs

        return int(verbs.VERBS[options.verb](options))
    except WslError as error:
        if options.debug:
            raise
        sys.stderr.write(f"wsl {options.verb}: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. The same command goes on where it was.\n")
        return 130
    except BrokenPipeError:  # the reader of a pipe went away (`wsl check DATA | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if options.debug:
            raise
        sys.stderr.write(
            f"wsl {options.verb}: {type(error).__name__}: {error}\n"
            "This is a bug in wsl: run the same command with --debug and report what it prints.\n"
        )
        return 1


def entry_point() -> None:
    """The console script."""
    sys.exit(main())
