"""`.png`: one grey image for each class, `<image id>/<class>.png` or `<image id>_<class>.png`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.cam.sources.map_format import Files, MapFormat
from wsl.cam.sources.maps import ClassMaps, MapRequest, to_class_maps
from wsl.data.images import open_image
from wsl.errors import DataError

FULL = {"L": 255, "I;16": 65535, "I;16B": 65535, "I": 65535}  # Pillow's mode of a grey image -> the value that is 1


def find_pngs(folder: Path, request: MapRequest) -> Files:
    """The file of each wanted class that has one, in the order of the class ids."""
    wanted = request.classes.ids if request.labels is None else sorted(request.labels)
    found = (_find_class(folder, request, class_id) for class_id in wanted)
    return tuple(path for path in found if path is not None)


def _find_class(folder: Path, request: MapRequest, class_id: int) -> Path | None:
    for word in _words(request, class_id):
        for name in (f"{request.image_id}/{word}.png", f"{request.image_id}_{word}.png"):
            if (folder / name).is_file():
                return folder / name
    return None


def _words(request: MapRequest, class_id: int) -> tuple[str, ...]:
    """How a file may name the class: by its name, or by its id unless that is another class's name.

    A name that would lead to another folder is not used.
    """
    name = request.classes.name_of(class_id)
    safe = not any(each in name for each in "/\\\0") and name not in ("", ".", "..")
    by_name = (name,) if safe else ()
    return by_name if str(class_id) in request.classes.names else (*by_name, str(class_id))


def read_pngs(files: Files, request: MapRequest) -> ClassMaps:
    """Values 0..255 or 0..65535 as 0..1. All files must be of one size."""
    maps = [_read_grey(path) for path in files]
    for path, each in zip(files, maps, strict=True):
        if each.shape != maps[0].shape:
            raise DataError(
                f"{path}: expected the size of {files[0].name}, {maps[0].shape} (height, width), but got {each.shape}."
            )
    return to_class_maps(files[0], np.stack(maps), tuple(_class_of(path, request) for path in files))


def _class_of(path: Path, request: MapRequest) -> int:
    base = request.image_id.rsplit("/", 1)[-1]
    for class_id in request.classes.ids:
        if any(path.name in (f"{word}.png", f"{base}_{word}.png") for word in _words(request, class_id)):
            return class_id
    raise DataError(f"{path}: expected a file name with the name or the id of a class, but there is none.")


def _read_grey(path: Path) -> NDArray[np.float32]:
    with open_image(path) as image:
        image.load()
        if image.mode not in FULL:
            raise DataError(f"{path}: expected a grey image of 8 or 16 bits, but got mode {image.mode}.")
        values: NDArray[Any] = np.asarray(image)
    return (values / np.float32(FULL[image.mode])).astype(np.float32)


FORMAT = MapFormat(".png", read_pngs, find_pngs)
