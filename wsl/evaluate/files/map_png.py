"""Score maps on disk as grey images: `<image_id>/<class>.png` or `<image_id>_<class>.png`, one for each class.

The class is its name, or its id where no class has that name. With one class only, `<image_id>.png` will do. A file
that is called as an image is that image's and no other's: "a_1.png" is not a map of class 1 in image "a" where there
is an image "a_1". The values 0..255 (8 bits) or 0..65535 (16 bits) stand for 0..1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.data.images import open_image
from wsl.errors import DataError, suggest
from wsl.evaluate.files.sources import list_files_by_id
from wsl.types import ClassSet, Scores

_FULL = {"L": 255, "I;16": 65535, "I;16B": 65535, "I": 65535}  # Pillow's mode of a grey image -> the value that is 1


@dataclass(frozen=True)
class MapFiles:
    """The maps of each image: image_id -> class_id -> file, classes ascending. `missing`: images without any map;
    `extra`: files of no image, as ids below the folder."""

    files: Mapping[str, Mapping[int, Path]]
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    def read(self, image_id: str) -> tuple[Scores, tuple[int, ...]]:
        """(scores float32 (K, H, W) in [0, 1], class ids) of an image that has maps."""
        return read_maps(self.files[image_id])


def find_map_files(
    folder: Path, image_ids: Iterable[str], classes: ClassSet, single_class: str | None = None
) -> MapFiles:
    """Looks below `folder` for the maps of the images.

    `single_class` is the name of the class of files `<image_id>.png`.

    Raises:
        DataError: no PNG at all, two maps of one class and image, one file that could be a map of two images, or a
            file in the folder of an image whose name is neither the name nor the id of a class.
    """
    found = list_files_by_id(folder, (".png",))
    if not found:
        raise DataError(f"{folder}: expected score maps (*.png), but there is none.")
    wanted = sorted(image_ids)
    words = _list_words(classes)
    single = None if single_class is None else _find_class_id(single_class, classes, folder)
    known = frozenset(wanted)
    files = {image_id: _find_maps(image_id, found, words, single, known) for image_id in wanted}
    _refuse_shared_files(files)
    used = {path for maps in files.values() for path in maps.values()}
    extra = tuple(name for name, path in found.items() if path not in used)
    _refuse_unknown_classes(extra, known, found, classes)
    kept = {image_id: maps for image_id, maps in files.items() if maps}
    return MapFiles(kept, tuple(each for each in wanted if each not in kept), extra)


def read_maps(files: Mapping[int, Path]) -> tuple[Scores, tuple[int, ...]]:
    """(scores float32 (K, H, W) in [0, 1], class ids); DataError unless all are grey and of one size."""
    maps = {class_id: read_map(path) for class_id, path in files.items()}
    first = next(iter(files))
    for class_id, each in maps.items():
        if each.shape != maps[first].shape:
            raise DataError(
                f"{files[class_id]}: expected the size of {files[first].name}, {maps[first].shape} (height, width), "
                f"but got {each.shape}."
            )
    return np.stack(list(maps.values())), tuple(maps)


def read_map(path: Path) -> NDArray[np.float32]:
    """One map: float32 (H, W) in [0, 1]; DataError for an image that is not grey of 8 or 16 bits."""
    with open_image(path) as image:
        image.load()
        if image.mode not in _FULL:
            raise DataError(f"{path}: expected a grey image of 8 or 16 bits, but got mode {image.mode}.")
        values: NDArray[Any] = np.asarray(image)
    return (values / np.float32(_FULL[image.mode])).astype(np.float32)


def _list_words(classes: ClassSet) -> dict[int, tuple[str, ...]]:
    """What a file may be called for each class. A name that would be another folder's is not used."""
    words = {}
    for class_id in classes.ids:
        name = classes.name_of(class_id)
        by_name = () if any(each in name for each in "/\\\0") or name in ("", ".", "..") else (name,)
        words[class_id] = by_name if str(class_id) in classes.names else (*by_name, str(class_id))
    return words


def _find_maps(
    image_id: str,
    found: Mapping[str, Path],
    words: Mapping[int, tuple[str, ...]],
    single: int | None,
    image_ids: frozenset[str],
) -> dict[int, Path]:
    """The maps of one image by class; files that are called as another one of `image_ids` are that image's."""
    maps: dict[int, Path] = {}
    for class_id, names in words.items():
        keys = [f"{image_id}{joint}{name}" for name in names for joint in "/_"]
        keys += [image_id] if class_id == single else []
        paths = [found[key] for key in keys if key in found and (key == image_id or key not in image_ids)]
        if len(paths) > 1:
            raise DataError(f"{paths[0]} and {paths[1]} are both of class id {class_id}: remove one of them.")
        if paths:
            maps[class_id] = paths[0]
    return maps


def _refuse_shared_files(files: Mapping[str, Mapping[int, Path]]) -> None:
    owners: dict[Path, str] = {}
    for image_id, maps in files.items():
        for path in maps.values():
            if path in owners:
                raise DataError(
                    f"{path}: could be a map of '{owners[path]}' and of '{image_id}'; put it into a folder called as "
                    "its image, <image_id>/<class>.png."
                )
            owners[path] = image_id


def _find_class_id(name: str, classes: ClassSet, folder: Path) -> int:
    if name not in classes.names:
        raise DataError(f"{folder}: unknown class '{name}'.{suggest(name, classes.names)}")
    return classes.id_of(name)


def _refuse_unknown_classes(
    extra: Iterable[str], image_ids: frozenset[str], found: Mapping[str, Path], classes: ClassSet
) -> None:
    """A file in the folder of a known image can only be meant as a map of it."""
    for name in extra:
        image_id, _, word = name.rpartition("/")
        if image_id in image_ids and name not in image_ids:
            raise DataError(f"{found[name]}: '{word}' is no class.{suggest(word, classes.names)}")
        if name in image_ids:
            raise DataError(f"{found[name]}: which class is this map of? Call it {name}/<class>.png.")
