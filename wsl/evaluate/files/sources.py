"""Pairs predictions on disk with their ground truth, by image id."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from wsl.data.ground_truth import read_ground_truth
from wsl.data.images import read_image_size
from wsl.data.label_maps import read_label_map
from wsl.data.reader import Dataset
from wsl.errors import DataError
from wsl.evaluate.segmentation.confusion import check_policy
from wsl.files import TEMPORARY_PREFIX
from wsl.types import ClassSet, LabelMap, Sample

MISSING = ("error", "skip", "background")


@dataclass(frozen=True)
class Pairing:
    """Which prediction belongs to which image: `pairs` sorted by image_id, path None where it counts as background.

    `missing`: images without prediction; `extra`: predictions of images that are not in the ground truth.
    """

    pairs: tuple[tuple[str, Path | None], ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """For the `counts` of a score."""
        return {"images without prediction": len(self.missing), "predictions without ground truth": len(self.extra)}


@dataclass(frozen=True)
class MaskSet:
    """Ground-truth label maps by image id. `classes` is None when the names are not known (a folder of PNGs).

    `read(image_id)` gives uint8 (H, W); `size(image_id)` gives (H, W) without reading the map where possible.
    """

    name: str
    image_ids: tuple[str, ...]
    classes: ClassSet | None
    read: Callable[[str], LabelMap]
    size: Callable[[str], tuple[int, int]]


def list_files_by_id(folder: Path, suffixes: Iterable[str]) -> dict[str, Path]:
    """image id -> file for all files below `folder` with one of `suffixes`, sorted; the id is the path below
    `folder`, with '/', without suffix. Hidden files are left out. DataError when two files have the same id."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder.")
    wanted = tuple(suffix.lower() for suffix in suffixes)
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in wanted or path.name.startswith((".", TEMPORARY_PREFIX)) or not path.is_file():
            continue
        image_id = path.relative_to(folder).as_posix()[: -len(path.suffix)]
        if image_id in found:
            raise DataError(f"{path} and {found[image_id].name} are both of image '{image_id}': remove one of them.")
        found[image_id] = path
    return dict(sorted(found.items()))


def pair_files(
    folder: Path, image_ids: Iterable[str], suffixes: Iterable[str] = (".png",), missing: str = "error"
) -> Pairing:
    """Looks below `folder` for the prediction of each image.

    `missing` says what an image without prediction is: an "error" (DataError that lists the first few), "skip"
    leaves it out of the score, "background" scores it as if nothing had been found. Both are counted.
    """
    check_policy(missing, MISSING, "missing")
    found = list_files_by_id(folder, suffixes)
    wanted = sorted(image_ids)
    absent = tuple(image_id for image_id in wanted if image_id not in found)
    extra = tuple(sorted(set(found) - set(wanted)))
    if absent and (missing == "error" or len(absent) == len(wanted)):
        raise DataError(_describe_absent(folder, absent, wanted, tuple(found)))
    kept = [image_id for image_id in wanted if image_id in found or missing == "background"]
    return Pairing(tuple((image_id, found.get(image_id)) for image_id in kept), absent, extra)


def _describe_absent(folder: Path, absent: tuple[str, ...], wanted: list[str], found: tuple[str, ...]) -> str:
    seen = f"the first file there is of '{found[0]}'" if found else "it holds no such file at all"
    return (
        f"{folder}: no prediction for {len(absent)} of {len(wanted)} images ({_show_some(absent)}); {seen}. "
        "File names must be image ids; missing='skip' or 'background' scores incomplete predictions."
    )


def _show_some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def open_mask_folder(folder: Path, classes: ClassSet | None = None) -> MaskSet:
    """Ground truth from a folder of label-map PNGs named by image id."""
    files = list_files_by_id(folder, (".png",))
    if not files:
        raise DataError(f"{folder}: expected label maps (*.png), but there is none.")
    return MaskSet(
        name=str(folder),
        image_ids=tuple(files),
        classes=classes,
        read=lambda image_id: read_label_map(files[image_id]),
        size=lambda image_id: read_image_size(files[image_id]),
    )


def open_dataset_masks(dataset: Dataset) -> MaskSet:
    """Ground truth from the samples of a data set that have masks; DataError when none has."""
    samples = {sample.image_id: sample for sample in dataset.samples if sample.mask is not None}
    if not samples or not dataset.has_masks:
        raise DataError(f"{dataset.root}: the data set has no masks to score against.")
    return MaskSet(
        name=str(dataset.root),
        image_ids=tuple(sorted(samples)),
        classes=dataset.classes,
        read=lambda image_id: _read_sample(samples[image_id], len(dataset.classes)),
        size=lambda image_id: read_image_size(samples[image_id].image_path),
    )


def _read_sample(sample: Sample, num_classes: int) -> LabelMap:
    # the image's own size, not the prediction's: polygons would be drawn at any size without complaint
    label_map = read_ground_truth(sample, read_image_size(sample.image_path), num_classes)
    if label_map is None:
        raise DataError(f"{sample.image_id}: no ground-truth mask.")
    return label_map


def find_largest_class(masks: MaskSet) -> int:
    """The largest class id in any ground-truth map (at least 1): reads them all."""
    return max(1, *(largest_of(masks.read(image_id)) for image_id in masks.image_ids))


def largest_of(label_map: LabelMap) -> int:
    """The largest value of a label map below 255; 0 when there is none."""
    return int(label_map[label_map != 255].max(initial=0))


def name_classes(count: int) -> ClassSet:
    """Stand-in names "class 1".. for classes without names."""
    return ClassSet(tuple(f"class {class_id}" for class_id in range(1, count + 1)))
