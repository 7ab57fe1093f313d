"""The classes of label maps whose names are not known: as many as the largest id in any map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from wsl.data.label_maps import read_label_map
from wsl.evaluate.accumulate import accumulate
from wsl.evaluate.files.sources import TruthSet
from wsl.progress import Progress
from wsl.types import IGNORE, ClassSet


def find_classes(
    truth: TruthSet, workers: int, progress: Progress, predictions: Mapping[str, Path | None] | None = None
) -> ClassSet:
    """ "class 1".. up to the largest value below 255 in the true maps, and in the `predictions` (.png) if given.

    Reads all maps once.
    """
    paths = [source for source in truth.sources.values() if isinstance(source, Path)]
    paths += [path for path in (predictions or {}).values() if path is not None]
    largest = accumulate(paths, Largest, _note, workers=workers, progress=progress, title="classes")
    return name_classes(max(1, largest.value))


class Largest:
    """The largest value below 255 in any map."""

    def __init__(self) -> None:
        self.value = 0

    def merge(self, other: Largest) -> None:
        """Takes the larger of both."""
        self.value = max(self.value, other.value)


def _note(largest: Largest, path: Path) -> None:
    present = np.flatnonzero(np.bincount(read_label_map(path).ravel(), minlength=256)[:IGNORE])
    largest.value = max(largest.value, int(present.max(initial=0)))


def name_classes(count: int) -> ClassSet:
    """Stand-in names "class 1".. for classes without names."""
    return ClassSet(tuple(f"class {class_id}" for class_id in range(1, count + 1)))
