"""What every reader gives back, and the registry in which readers file themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wsl.registry import Registry
from wsl.types import ClassSet, Sample


@dataclass(frozen=True)
class Problem:
    """Something wrong in the data: the file it is about and one sentence."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass(frozen=True)
class Dataset:
    """An opened data set: what is known of it without decoding an image.

    `samples` are sorted by image_id; `problems` names the images that were left out and why; `single_label` is
    True when each image has at most one class; `has_masks` and `has_boxes` tell of ground truth to score against;
    `why` says in words how the format, the classes and the split were found; `split_counts` is the number of
    images of each declared split as far as it is known; `declared_sizes` is the (height, width) that the boxes of an
    image_id refer to, where the annotations tell (equal to the image's own size, or the data set is wrong).
    """

    root: Path
    format: str
    classes: ClassSet
    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...]
    single_label: bool
    has_masks: bool
    has_boxes: bool
    why: str
    split_counts: Mapping[str, int] = field(default_factory=dict)
    declared_sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True)
class Reader:
    """One data format.

    `order`: formats are guessed in this order, the strictest first; `guess(root)` is a sentence that says why
    `root` is of this format, None if it is not; `read(root, split=, classes=, background_class=, val_fraction=)`.
    """

    order: int
    guess: Callable[[Path], str | None]
    read: Callable[..., Dataset]


READERS: Registry[Reader] = Registry("data format")


def has_scorable_masks(samples: list[Sample]) -> bool:
    """True when some sample has ground truth beyond 'no object here'."""
    return any(sample.mask is not None and sample.mask.kind != "background" for sample in samples)
