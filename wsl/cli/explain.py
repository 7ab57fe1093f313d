"""`wsl explain`: its options, and what it prints. Nothing heavy is imported before it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from wsl.pipeline.explaining import ExplainOptions, Explanation

DONE, ALL_FAILED, SOME_FAILED = 0, 3, 4
EXPLAIN_HELP = "what a classifier sees in images: predictions, heat maps, overlays"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE", help="image files, or folders of them")
    network = parser.add_argument_group("the classifier").add_argument
    network("--model", help="a name of `wsl info` or timm/NAME; default: resnet50")
    network("--weights", help="imagenet, another published name, a file, or none for random ones; default: imagenet")
    network("--checkpoint", help="a classifier of `wsl train` instead of --model")
    network("--head", help="original (default), or pooled: VGG, ViT, MobileNetV3 with a linear layer on means")
    network("--outputs", type=int, help="length of the class scores, where the weights do not have 1000")
    network("--side", type=int, help="shorter side of the network's input; default: 256, or that of the training")
    network("--device", default="auto", help="auto, cpu, cuda, ...; default: auto")
    maps = parser.add_argument_group("what is explained").add_argument
    maps("--classes", help="names, parts of names, or numbers: 'tabby, 285'; default: the most probable class")
    maps("--true", metavar="CLASS", help="the true class, shown beside the predicted one where they differ")
    maps("--top", type=int, default=5, help="predictions that are listed; default: 5")
    maps("--method", default="grad_cam", help="one or several with commas: grad_cam,eigen_cam; default: grad_cam")
    maps("--layer", default="", help="module names with commas, or 'stages'; default: the method's own")
    maps("--preset", default="grad_cam", help="how maps are normalised; default: grad_cam")
    maps("--pooling", action="store_true", help="compare average and max pooling of the same features")
    pictures = parser.add_argument_group("the files").add_argument
    pictures("--colour", default="turbo", help="turbo, viridis, jet or inferno; default: turbo")
    pictures("--alpha", type=float, default=0.5, help="share of the colours in overlays, 0 to 1; default: 0.5")
    pictures("--figure", action="store_true", help="also one picture per image with all classes and maps")
    pictures("--output", default="explained", help="folder for the files; default: explained")


def explain(options: argparse.Namespace) -> int:
    """Exit code 0, 3 when no image could be explained, 4 when some could not."""
    from wsl.cli.progress import choose_progress
    from wsl.pipeline.device import select_device
    from wsl.pipeline.explaining import explain_images, list_image_files
    from wsl.pipeline.named_classifier import load_named_classifier
    from wsl.pipeline.output_folder import check_output_folder

    chosen = _read_options(options)
    chosen.check()
    output = check_output_folder(options.output)
    paths = list_image_files(options.images)
    classifier = load_named_classifier(
        model=options.model,
        weights=options.weights,
        checkpoint=None if options.checkpoint is None else Path(options.checkpoint),
        head=options.head,
        outputs=options.outputs,
        side=options.side,
        device=select_device(options.device),
    )
    explained, failures = explain_images(paths, classifier, chosen, output, choose_progress(options.quiet))
    _print_explained(explained, output)
    for failure in failures:
        sys.stderr.write(f"failed: {failure.message}\n")
    if not failures:
        return DONE
    return SOME_FAILED if explained else ALL_FAILED


def _read_options(options: argparse.Namespace) -> ExplainOptions:
    from wsl.pipeline.explaining import ExplainOptions

    return ExplainOptions(
        methods=_split(options.method),
        layers=_split(options.layer),
        classes=options.classes,
        true=options.true,
        top=options.top,
        preset=options.preset,
        colour=options.colour,
        alpha=options.alpha,
        pooling=options.pooling,
        figure=options.figure,
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _print_explained(explained: Sequence[Explanation], output: Path) -> None:
    """A table per image, then where the files are."""
    from wsl.cli.tables import console

    out = console()
    for each in explained:
        height, width = each.size
        title = f"{each.path}: {height} x {width}, seen at {each.input_size[0]} x {each.input_size[1]}"
        out.print(title, highlight=False, markup=False, soft_wrap=True)
        out.print(_prediction_table(each))
        if each.pooling:
            out.print(_pooling_table(each))
        out.print()
    count = sum(len(each.files) for each in explained)
    if explained:
        out.print(f"{count} files and predictions.json in {output}", highlight=False, markup=False, soft_wrap=True)


def _prediction_table(explained: Explanation) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "class", "output", "probability", "logit", "", box=None, pad_edge=False, header_style="bold")
    ranked = {each.output: str(rank) for rank, each in enumerate(explained.top, start=1)}
    true = explained.true
    shown = dict.fromkeys([*explained.top, *explained.explained, *([true] if true else [])])
    mapped = {each.output for each in explained.explained}
    for each in shown:
        marks = ["true"] if true is not None and each.output == true.output else []
        marks += ["map"] if each.output in mapped else []
        rank = ranked.get(each.output, "")
        numbers = f"{each.probability:.4f}", f"{each.logit:.2f}"
        table.add_row(rank, escape(each.name), str(each.output), *numbers, ", ".join(marks))
    return table


def _pooling_table(explained: Explanation) -> Table:
    from rich.markup import escape
    from rich.table import Table

    kinds = list(explained.pooling)
    columns = [f"{what}, {kind} pooling" for kind in kinds for what in ("probability", "logit")]
    table = Table("class", *columns, box=None, pad_edge=False, header_style="bold")
    for each in explained.explained:
        found = [next(one for one in explained.pooling[kind] if one.output == each.output) for kind in kinds]
        cells = [cell for one in found for cell in (f"{one.probability:.4f}", f"{one.logit:.2f}")]
        table.add_row(escape(each.name), *cells)
    return table
