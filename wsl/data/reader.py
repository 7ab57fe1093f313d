"""Opening a data set of any known format."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Imported for their registration in READERS.
from wsl.data import coco, folder, images_only, table, voc  # noqa: F401
from wsl.data.dataset import READERS, Dataset, Problem, Reader
from wsl.errors import DataError

__all__ = ["Dataset", "Problem", "guess_format", "list_formats", "open_dataset"]


def open_dataset(
    root: Path,
    *,
    format: str = "auto",
    split: str | None = None,
    classes: tuple[str, ...] | None = None,
    background_class: str | None = None,
    val_fraction: float = 0.2,
) -> Dataset:
    """Opens a data set without decoding its images.

    Args:
        root: folder of the data set, or its COCO JSON / CSV / JSONL file.
        format: "voc", "coco", "folder", "table", "images", or "auto" to find out.
        split: a declared split; "train" or "val" of a data set without these is drawn from the image ids (see
            `wsl.data.split`); None or "all" is every image.
        classes: foreground class names in the order of their ids 1..N; None: as the data set says.
        background_class: the label or folder that means "no object"; None: none, except that a folder data set
            with a folder such as `free` or `good` takes that one and says so in `why`; "" forbids even this.
        val_fraction: share of "val" where the split is drawn, in (0, 1).

    Returns:
        The images that can be used, and the problems of those left out.

    Raises:
        DataError: there is nothing usable: no such root, no known format, broken JSON, unknown split, no image.
    """
    root = Path(root)
    why = ""
    if format == "auto":
        format, why = guess_format(root)
    elif not root.exists():
        raise DataError(f"{root}: no such folder or file.")
    reader = READERS.get(format)
    with _without_collector():
        dataset = reader.read(
            root, split=split, classes=classes, background_class=background_class, val_fraction=val_fraction
        )
    _check_not_empty(dataset, split)
    return _with_reason(dataset, why)


def guess_format(root: Path) -> tuple[str, str]:
    """The format of a data set and the reason for the guess.

    Raises:
        DataError: there is no such folder or file, or it is of no known format.
    """
    root = Path(root)
    if not root.exists():
        raise DataError(f"{root}: no such folder or file.")
    for name in list_formats():
        why = READERS.get(name).guess(root)
        if why is not None:
            return name, why
    raise DataError(
        f"{root}: no known data set; expected VOC (JPEGImages and Annotations), COCO (annotations/*.json), one folder "
        "of images per class, one CSV or JSONL table with columns path and labels, or images without labels."
    )


def list_formats() -> list[str]:
    """The known formats in the order in which they are guessed."""
    return sorted(READERS.names(), key=_order_of)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Readers make millions of small records and no cycles: looking for cycles among them is half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _order_of(name: str) -> int:
    reader: Reader = READERS.get(name)
    return reader.order


def _with_reason(dataset: Dataset, why: str) -> Dataset:
    reasons = "; ".join(reason for reason in (why, dataset.why) if reason)
    return dataclasses.replace(dataset, why=reasons)


def _check_not_empty(dataset: Dataset, split: str | None) -> None:
    if dataset.samples:
        return
    part = "" if split is None else f" in split '{split}'"
    first = f" First of {len(dataset.problems)} problems: {dataset.problems[0]}" if dataset.problems else ""
    raise DataError(f"{dataset.root}: no usable image{part} (read as {dataset.format}).{first}")
