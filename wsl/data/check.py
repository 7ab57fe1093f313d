"""Reading everything of a data set once, and saying what is wrong with it before a night is spent on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsl.data.dataset import Dataset, Problem
from wsl.data.ground_truth import read_ground_truth
from wsl.data.images import read_image, read_image_info
from wsl.data.reader import open_dataset
from wsl.errors import DataError
from wsl.progress import Progress, Silent, track
from wsl.types import BACKGROUND, IGNORE, LabelMap, Sample

# Boxes are written with rounding: half a pixel beyond the edge is no fault.
_BOX_SLACK = 0.5


@dataclass(frozen=True)
class SizeSummary:
    """Smallest, median and largest height and width in pixels, each on its own."""

    heights: tuple[int, int, int]
    widths: tuple[int, int, int]


@dataclass(frozen=True)
class CheckReport:
    """What a full reading of the data set found.

    `images` counts the images that can be used, `class_counts` those with each class (background excluded),
    `background_only` those without an object, `unlabelled` those whose labels are not known. `modes` counts
    Pillow's modes ("RGB", "L", ...). `sizes` is None when no image could be read. `problems` make an image
    unusable or wrong; `notes` are worth a look. `split_counts` is what is known of the declared splits.
    """

    root: Path
    format: str
    why: str
    class_names: tuple[str, ...]
    images: int
    split_counts: Mapping[str, int]
    class_counts: Mapping[str, int]
    background_only: int
    unlabelled: int
    sizes: SizeSummary | None
    modes: Mapping[str, int]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]


@dataclass(frozen=True)
class _Finding:
    """What reading one sample showed; `size` and `mode` are None when the image cannot be read."""

    size: tuple[int, int] | None
    mode: str | None
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


def check_dataset(
    root: Path,
    *,
    format: str = "auto",
    split: str | None = None,
    classes: tuple[str, ...] | None = None,
    background_class: str | None = None,
    val_fraction: float = 0.2,
    progress: Progress | None = None,
) -> CheckReport:
    """Reads every image, mask and box of a data set; options as in `wsl.data.reader.open_dataset`.

    Problems: what the reader left out (broken annotations, missing files, doubled image ids, labels that are not in
    the class list), unreadable images, masks of another size or with unknown values, boxes outside of the image.
    Notes: classes in the mask that the labels do not have or the other way round, missing masks, classes without
    images.

    Raises:
        DataError: the data set cannot be opened at all.
    """
    dataset = open_dataset(
        root,
        format=format,
        split=split,
        classes=classes,
        background_class=background_class,
        val_fraction=val_fraction,
    )
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda sample: _check_sample(sample, dataset), dataset.samples)
        findings = list(track(results, progress or Silent(), "check", len(dataset)))
    return _summarise(dataset, findings)


def _check_sample(sample: Sample, dataset: Dataset) -> _Finding:
    try:
        mode = read_image_info(sample.image_path).mode
        image = read_image(sample.image_path)
    except DataError as error:
        return _Finding(None, None, (_to_problem(sample.image_path, error),))
    size = (image.shape[0], image.shape[1])
    problems = _check_declared_size(sample, size, dataset) + _check_boxes(sample, size)
    notes: list[Problem] = []
    try:
        label_map = read_ground_truth(sample, size, len(dataset.classes))
        notes = _compare_labels(sample, label_map, dataset)
    except DataError as error:
        problems.append(_to_problem((sample.mask and sample.mask.path) or sample.image_path, error))
    return _Finding(size, mode, tuple(problems), tuple(notes))


def _to_problem(path: Path, error: DataError) -> Problem:
    """The messages begin with the file, which a Problem names anyway."""
    return Problem(path, str(error).removeprefix(f"{path}: "))


def _check_declared_size(sample: Sample, size: tuple[int, int], dataset: Dataset) -> list[Problem]:
    declared = dataset.declared_sizes.get(sample.image_id, size)
    if declared == size:
        return []
    what = f"it is {size[0]}x{size[1]}, but its annotation is for {declared[0]}x{declared[1]} (height x width)."
    return [Problem(sample.image_path, what)]


def _check_boxes(sample: Sample, size: tuple[int, int]) -> list[Problem]:
    height, width = size
    problems = []
    for box in sample.boxes or ():
        x1, y1, x2, y2 = box.xyxy
        if min(x1, y1) < -_BOX_SLACK or x2 > width + _BOX_SLACK or y2 > height + _BOX_SLACK:
            shown = ", ".join(f"{side:g}" for side in box.xyxy)
            what = f"the box [{shown}] (half-open, from 0) leaves the image of {height}x{width} (height x width)."
            problems.append(Problem(sample.image_path, what))
    return problems


def _compare_labels(sample: Sample, label_map: LabelMap | None, dataset: Dataset) -> list[Problem]:
    if label_map is None:
        return [Problem(sample.image_path, "has no mask, though others have one.")] if dataset.has_masks else []
    values = {int(value) for value in np.flatnonzero(np.bincount(label_map.ravel(), minlength=256))}
    unsure = IGNORE in values
    drawn = values - {BACKGROUND, IGNORE}
    labels = set(sample.class_ids or ())
    path = (sample.mask and sample.mask.path) or sample.image_path
    extra = _join_names(drawn - labels, dataset)
    notes = [Problem(path, f"the mask holds {extra}, which the labels do not.")] if extra else []
    # A missing class may be what the 255 hides: crowds and difficult objects are drawn so.
    missing = "" if unsure else _join_names(labels - drawn, dataset)
    return [*notes, Problem(path, f"the labels name {missing}, which the mask does not hold.")] if missing else notes


def _join_names(class_ids: Iterable[int], dataset: Dataset) -> str:
    return ", ".join(dataset.classes.name_of(class_id) for class_id in sorted(class_ids))


def _summarise(dataset: Dataset, findings: list[_Finding]) -> CheckReport:
    readable = [sample for sample, finding in zip(dataset.samples, findings, strict=True) if finding.size is not None]
    counts = Counter(class_id for sample in readable for class_id in sample.class_ids or ())
    class_counts = {dataset.classes.name_of(class_id): counts[class_id] for class_id in dataset.classes.ids}
    unused = [name for name, count in class_counts.items() if count == 0]
    empty = [Problem(dataset.root, f"no image has the class {', '.join(unused)}.")] if unused else []
    return CheckReport(
        root=dataset.root,
        format=dataset.format,
        why=dataset.why,
        class_names=dataset.classes.names,
        images=len(readable),
        split_counts=dict(dataset.split_counts),
        class_counts=class_counts,
        background_only=sum(sample.class_ids == () for sample in readable),
        unlabelled=sum(sample.class_ids is None for sample in readable),
        sizes=_summarise_sizes([finding.size for finding in findings if finding.size is not None]),
        modes=dict(sorted(Counter(finding.mode for finding in findings if finding.mode is not None).items())),
        problems=(*dataset.problems, *(problem for finding in findings for problem in finding.problems)),
        notes=(*empty, *(note for finding in findings for note in finding.notes)),
    )


def _summarise_sizes(sizes: list[tuple[int, int]]) -> SizeSummary | None:
    if not sizes:
        return None
    heights, widths = (sorted(size[axis] for size in sizes) for axis in (0, 1))
    middle = (len(sizes) - 1) // 2
    return SizeSummary(
        heights=(heights[0], heights[middle], heights[-1]), widths=(widths[0], widths[middle], widths[-1])
    )
