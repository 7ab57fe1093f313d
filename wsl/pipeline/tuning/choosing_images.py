"""Which images a search may look at: never the truth of a test split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from wsl.errors import ConfigError, DataError
from wsl.pipeline.context import Context, open_split
from wsl.pipeline.tuning.images import hide_truth
from wsl.pipeline.work import StageFiles
from wsl.types import Sample


@dataclass(frozen=True)
class ChosenImages:
    """`provenance`: `label_free` or, with truth, `oracle`: the run's own scores are on these images too. `notes`: what
    the reader of the results must know."""

    split: str
    samples: tuple[Sample, ...]
    provenance: str
    notes: tuple[str, ...]


def is_test_split(name: str) -> bool:
    """Whether a split is kept for the last judgement, by its name: test, test2017, testdev, image_info_test-dev."""
    return any(word.startswith("test") for word in re.split(r"[^a-z]+", name.lower()))


def choose_images(context: Context, split: str | None, label_free: bool) -> ChosenImages:
    """The images of `split` (None: the run's own) that have maps.

    With an objective that needs truth a test split is refused, and images of declared test splits are left out of
    others (`all`). A label-free search may be on test images when their split is named or is the run's own; its samples
    hold no truth. ConfigError when no image is left.
    """
    split = split or context.config.data.split
    if is_test_split(split) and not label_free:
        raise ConfigError(
            f"split '{split}': settings are never chosen by the truth of a test split: give --split val, or a "
            "label-free --objective."
        )
    found = context.samples if split == context.config.data.split else open_split(context.config.data, split).samples
    files = StageFiles(context.run.path)
    samples = [sample for sample in found if files.maps(sample.image_id).exists()]
    if not samples:
        raise ConfigError(
            f"split '{split}': none of its {len(found)} images has score maps in {context.run.path}, which holds those "
            f"of data.split={context.config.data.split}."
        )
    kept = samples if is_test_split(split) else _drop_test(context, samples)
    if not kept:
        raise ConfigError(f"split '{split}': all its images with maps are in a test split; tune on other images.")
    chosen = tuple(hide_truth(sample) if label_free else sample for sample in kept)
    notes = _list_notes(context, split, len(samples) - len(kept), label_free)
    return ChosenImages(split, chosen, "label_free" if label_free else "oracle", tuple(notes))


def _drop_test(context: Context, samples: Sequence[Sample]) -> list[Sample]:
    held_out = {sample.image_id for name in _list_test_splits(context) for sample in _open(context, name)}
    return [sample for sample in samples if sample.image_id not in held_out]


def _list_test_splits(context: Context) -> list[str]:
    return [name for name in context.data.split_counts if is_test_split(name)]


def _open(context: Context, split: str) -> tuple[Sample, ...]:
    try:
        return open_split(context.config.data, split).samples
    except DataError:  # a list without a usable image keeps nothing out
        return ()


def _list_notes(context: Context, split: str, dropped: int, label_free: bool) -> list[str]:
    notes = [f"{dropped} images of a test split were left out"] if dropped else []
    if label_free:
        notes.append("no mask or box was looked at")
        if is_test_split(split):
            notes.append("the images are test images: their pixels were looked at, their truth was not")
        return notes
    return [*notes, f"chosen by the truth of split '{split}': scores on these images are flattered (oracle)"]
