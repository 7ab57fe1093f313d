"""Which images belong to a split: declared by the data set, or drawn once and for all from the image ids."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from wsl.errors import ConfigError, DataError
from wsl.types import Sample

AUTOMATIC_SPLITS = ("train", "val")


def is_everything(split: str | None) -> bool:
    """True when no part is asked for: None or "all"."""
    return split is None or split == "all"


def is_declared(split: str, declared: Iterable[str], source: object) -> bool:
    """True when the data set itself has this split, False when it is to be drawn by `split_samples`.

    A data set that declares neither train nor val gets both drawn.

    Raises:
        DataError: the split is neither declared nor to be drawn; the message lists those that exist.
    """
    names = sorted(set(declared))
    if split in names:
        return True
    if split in AUTOMATIC_SPLITS and not set(AUTOMATIC_SPLITS) & set(names):
        return False
    drawn = [] if set(AUTOMATIC_SPLITS) & set(names) else list(AUTOMATIC_SPLITS)
    raise DataError(f"{source}: there is no split '{split}'; there are: {', '.join([*names[:30], *drawn, 'all'])}.")


def split_samples(samples: Sequence[Sample], split: str, val_fraction: float = 0.2) -> list[Sample]:
    """The "train" or "val" part of `samples`, the same for every seed, order and machine.

    Images are grouped by label; an image with several labels counts for its rarest one (of equally rare ones, the
    lowest class id). Each group is sorted by the SHA-1 of the image_id, and the first round(val_fraction * n), at
    least 1 and at most n - 1, are val; a group of one image is train.

    Args:
        samples: all images of the data set.
        split: "train" or "val".
        val_fraction: share of val, in (0, 1).
    """
    if split not in AUTOMATIC_SPLITS:
        raise ConfigError(f"split: expected train or val, but got '{split}'.")
    if not 0 < val_fraction < 1:
        raise ConfigError(f"val_fraction: expected a share above 0 and below 1, but got {val_fraction}.")
    val = _find_val(samples, val_fraction)
    return [sample for sample in samples if (sample.image_id in val) == (split == "val")]


def _find_val(samples: Sequence[Sample], val_fraction: float) -> set[str]:
    frequency = Counter(class_id for sample in samples for class_id in sample.class_ids or ())
    groups: dict[int, list[str]] = defaultdict(list)
    for sample in samples:
        rarest = min(sample.class_ids or (0,), key=lambda class_id: (frequency[class_id], class_id))
        groups[rarest].append(sample.image_id)
    val: set[str] = set()
    for image_ids in groups.values():
        count = min(max(1, round(val_fraction * len(image_ids))), len(image_ids) - 1)
        val.update(sorted(image_ids, key=_digest)[:count])
    return val


def _digest(image_id: str) -> str:
    return hashlib.sha1(image_id.encode(), usedforsecurity=False).hexdigest()
