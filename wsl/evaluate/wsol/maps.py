"""Score maps in a folder, found by image id and read as numbers: .npy, .npz or grey PNG."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.data.images import IMAGE_SUFFIXES, open_image
from wsl.errors import DataError
from wsl.evaluate.files.score_map_files import load_arrays, read_score_map
from wsl.evaluate.segmentation.confusion import check_policy
from wsl.files import TEMPORARY_PREFIX

MAP_SUFFIXES = (".npy", ".npz", ".png")
MISSING = ("error", "skip", "constant")

Maps = NDArray[np.floating]  # (K, h, w)


@dataclass(frozen=True)
class FoundMaps:
    """`paths`: the map of each image that is scored, None where a constant one stands in; `missing`, `extra`: images
    without map, and map files of no image."""

    paths: dict[str, Path | None]
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """For the `counts` of a score."""
        return {"images without map": len(self.missing), "maps without image": len(self.extra)}


def find_maps(folder: Path, image_ids: Collection[str], missing: str = "error") -> FoundMaps:
    """The map of each image below `folder`: <id>.npy, .npz or .png.

    An id that ends in an image's suffix is looked for with and without it, "a/b.jpeg" as a/b.jpeg.npy (the published
    tools write this) and as a/b.npy. `missing`: an image without map is an "error" (DataError), left out ("skip"), or
    scored with a "constant" map. DataError when two files are of one image, or one file could be of two images.
    """
    check_policy(missing, MISSING, "missing")
    files = _list_maps(folder)
    owners: dict[str, str] = {}
    for image_id in image_ids:
        for name in filter(files.__contains__, _list_names(image_id)):
            if name in owners:
                raise DataError(f"{files[name]}: could be the map of '{owners[name]}' and of '{image_id}'.")
            owners[name] = image_id
    found: dict[str, Path] = {}
    for name, image_id in owners.items():
        if image_id in found:
            raise DataError(f"{folder}: {found[image_id].name} and {files[name].name} are both of '{image_id}'.")
        found[image_id] = files[name]
    absent = tuple(image_id for image_id in image_ids if image_id not in found)
    if absent and (missing == "error" or len(absent) == len(image_ids)):
        raise DataError(_describe_absent(folder, absent, len(image_ids), sorted(files)))
    kept = {image_id: found.get(image_id) for image_id in image_ids if image_id in found or missing == "constant"}
    return FoundMaps(kept, absent, tuple(sorted(set(files) - set(owners))))


def read_wsol_map(path: Path) -> tuple[Maps, tuple[int, ...]]:
    """(maps floating (K, h, w), their class ids or () when the file does not name them).

    .npy: (h, w), or (K, h, w) with one map per class in their order; floating, or uint8, which is divided by 255.
    .npz: `scores` (K, h, w) and `class_ids` (K,). .png: 8-bit grey, divided by 255. Nothing pickled is read.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return read_score_map(path)
    values: NDArray[Any] = _read_grey(path) if suffix == ".png" else load_arrays(path)["scores"]
    scores = values / 255 if values.dtype == np.uint8 else values
    if scores.ndim not in (2, 3) or not np.issubdtype(scores.dtype, np.floating) or not scores.size:
        raise DataError(
            f"{path}: expected maps (h, w) or (K, h, w), floating or uint8, but got {values.dtype} {values.shape}."
        )
    return (scores[None] if scores.ndim == 2 else scores), ()


def pick_class(maps: Maps, class_ids: tuple[int, ...], class_id: int, path: Path) -> NDArray[np.floating]:
    """The map (h, w) of one class: of its id, or of its place when ids are not named; a single map is taken as it is.
    DataError when there is none."""
    if class_ids and class_id not in class_ids:
        raise DataError(f"{path}: expected a map of class {class_id}, but it holds those of {sorted(class_ids)[:10]}.")
    if class_ids:
        return maps[class_ids.index(class_id)]
    if len(maps) == 1:
        return maps[0]
    if class_id > len(maps):
        raise DataError(f"{path}: expected a map for each class, but class {class_id} is beyond its {len(maps)} maps.")
    return maps[class_id - 1]


def _list_maps(folder: Path) -> dict[str, Path]:
    """Files below `folder` by their path there, with '/' and a lower-case suffix; hidden ones left out."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder.")
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        hidden = path.name.startswith((".", TEMPORARY_PREFIX))
        if hidden or path.suffix.lower() not in MAP_SUFFIXES or not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()[: -len(path.suffix)] + path.suffix.lower()
        if name in files:
            raise DataError(f"{path} and {files[name].name} differ only in the case of the suffix: remove one of them.")
        files[name] = path
    return files


def _list_names(image_id: str) -> Iterator[str]:
    suffix = PurePosixPath(image_id).suffix
    stems = [image_id, image_id[: -len(suffix)]] if suffix.lower() in IMAGE_SUFFIXES else [image_id]
    return (stem + each for stem in stems for each in MAP_SUFFIXES)


def _describe_absent(folder: Path, absent: tuple[str, ...], total: int, found: list[str]) -> str:
    seen = f"the first map there is {found[0]}" if found else "it holds no map at all"
    return (
        f"{folder}: no map for {len(absent)} of {total} images, the first is '{absent[0]}'; {seen}. Expected <image "
        "id>.npy, .npz or .png; --missing skip or --missing background scores incomplete folders."
    )


def _read_grey(path: Path) -> NDArray[np.uint8]:
    with open_image(path) as image:
        if image.mode != "L":
            raise DataError(f"{path}: expected an 8-bit grey PNG as score map, but its mode is {image.mode}.")
        return np.array(image)
