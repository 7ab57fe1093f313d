"""Pairs predictions on disk with their ground truth, by image id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wsl.data.ground_truth import read_ground_truth
from wsl.data.images import read_image_size
from wsl.data.label_maps import read_label_map
from wsl.data.reader import Dataset
from wsl.errors import ConfigError, DataError
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
class TruthSet:
    """Ground truth by image id: a label map file or a sample of a data set, read when it is needed.

    `classes` is None when the names are not known (a folder of PNGs).
    """

    name: str
    classes: ClassSet | None
    sources: Mapping[str, Path | Sample]
    has_masks: bool
    has_boxes: bool

    @property
    def image_ids(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted(self.sources))


def read_truth(source: Path | Sample, num_classes: int) -> LabelMap | None:
    """The true label map, uint8 (H, W); None for a sample without one. Errors as in `read_ground_truth`."""
    if isinstance(source, Path):
        return read_label_map(source)
    # the image's own size, not the prediction's: polygons would be drawn at any size without complaint
    return read_ground_truth(source, read_image_size(source.image_path), num_classes)


def read_size(source: Path | Sample) -> tuple[int, int]:
    """(H, W) of the image, without decoding it."""
    return read_image_size(source if isinstance(source, Path) else source.image_path)


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
    found = list_files_by_id(folder, suffixes)
    wanted = sorted(image_ids)
    absent = tuple(image_id for image_id in wanted if image_id not in found)
    extra = tuple(sorted(set(found) - set(wanted)))
    check_pairing(folder, absent, wanted, tuple(found), missing)
    kept = [image_id for image_id in wanted if image_id in found or missing == "background"]
    return Pairing(tuple((image_id, found.get(image_id)) for image_id in kept), absent, extra)


def check_pairing(
    folder: Path, absent: tuple[str, ...], wanted: Sequence[str], found: tuple[str, ...], missing: str
) -> None:
    """Raises DataError when images without prediction are an error, or when no image has one."""
    check_policy(missing, MISSING, "missing")
    if absent and (missing == "error" or len(absent) == len(wanted)):
        raise DataError(_describe_absent(folder, absent, wanted, found))


def _describe_absent(folder: Path, absent: tuple[str, ...], wanted: Sequence[str], found: tuple[str, ...]) -> str:
    seen = f"the first file there is of '{found[0]}'" if found else "it holds no such file at all"
    return (
        f"{folder}: no prediction for {len(absent)} of {len(wanted)} images ({_show_some(absent)}); {seen}. "
        "File names must be image ids; --missing skip or --missing background scores incomplete predictions."
    )


def _show_some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def open_truth(ground_truth: Path | Dataset, classes: ClassSet | None = None) -> TruthSet:
    """The truth of a folder of label-map PNGs named by image id, or of a data set, which knows its classes itself.

    Of a data set these are the samples with a mask or with boxes. DataError when there is no truth at all,
    ConfigError for `classes` other than the data set's.
    """
    if isinstance(ground_truth, Path):
        files = list_files_by_id(ground_truth, (".png",))
        if not files:
            raise DataError(f"{ground_truth}: expected label maps (*.png), but there is none.")
        return TruthSet(str(ground_truth), classes, files, has_masks=True, has_boxes=False)
    if classes is not None and classes.names != ground_truth.classes.names:
        raise ConfigError(f"{ground_truth.root}: its classes are {ground_truth.classes.names}, not {classes.names}.")
    has_masks, has_boxes = ground_truth.has_masks, ground_truth.has_boxes
    samples = {
        sample.image_id: sample
        for sample in ground_truth.samples
        if (has_masks and sample.mask is not None) or (has_boxes and sample.instances is not None)
    }
    if not samples:
        raise DataError(f"{ground_truth.root}: the data set has no masks and no boxes to score against.")
    return TruthSet(str(ground_truth.root), ground_truth.classes, samples, has_masks, has_boxes)


def require_masks(truth: TruthSet) -> TruthSet:
    """The part of `truth` that has masks; DataError when there is none."""
    found = {
        image_id: source
        for image_id, source in truth.sources.items()
        if isinstance(source, Path) or source.mask is not None
    }
    if not truth.has_masks or not found:
        raise DataError(f"{truth.name}: the data set has no masks to score against.")
    return replace(truth, sources=found)
