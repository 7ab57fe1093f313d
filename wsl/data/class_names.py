"""Class names: from the caller, from a list beside the data, or from the labels found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wsl.errors import ConfigError, DataError
from wsl.types import ClassSet

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_NOT_OBJECTS = frozenset({"background", "_background_", "__background__", "__ignore__", "_ignore_", "ignore", "void"})


def read_class_names(folder: Path) -> tuple[tuple[str, ...], str] | None:
    """The class list beside the data and the file's name, or None.

    `classes.txt` has one name per line; CVAT's `labelmap.txt` has `name:colour:parts:actions`. Lines of the
    background and of "ignore" are skipped.

    Raises:
        DataError: the list is empty, not text, or has a name twice.
    """
    for name in ("classes.txt", "labelmap.txt"):
        path = folder / name
        if path.is_file():
            return _read_names(path), name
    return None


def build_class_set(names: Iterable[str], background_class: str | None, source: Path) -> ClassSet:
    """The foreground classes: without `background_class`, which becomes the background's name, or "background".

    Raises:
        DataError: no foreground class is left.
    """
    background_name = background_class or "background"
    kept = tuple(name for name in names if name != background_name)
    if not kept:
        raise DataError(
            f"{source}: no foreground class was found; expected at least one label that is not the background."
        )
    return ClassSet(kept, background_name)


def check_background_class(background_class: str | None, names: Iterable[str]) -> None:
    """Raises ConfigError when a background class is asked for that no label or folder has."""
    known = sorted(names)
    if background_class and background_class not in known:
        shown = ", ".join(known[:20])
        raise ConfigError(f"background_class is '{background_class}', but the data set only has: {shown}.")


def _read_names(path: Path) -> tuple[str, ...]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected UTF-8 text with one class name per line.") from None
    names = [line.split(":")[0].strip() if path.name == "labelmap.txt" else line for line in lines]
    kept = tuple(name for name in names if name and not name.startswith("#") and name.lower() not in _NOT_OBJECTS)
    doubles = sorted({name for name in kept if kept.count(name) > 1})
    if not kept or doubles:
        fault = f"the names {doubles} appear twice" if doubles else "it has none"
        raise DataError(f"{path}: expected one class name per line, but {fault}.")
    return kept
