"""What the pickled formats share: a dictionary with the classes' keys and their maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wsl.cam.sources.map_format import Files
from wsl.cam.sources.maps import ClassMaps, MapRequest, check_classes, check_full_size, to_class_maps
from wsl.cam.sources.safe_pickle import read_pickled_dict
from wsl.errors import DataError


def read_keyed_maps(files: Files, request: MapRequest, maps: str, first_key: int) -> ClassMaps:
    """Maps of a dictionary {"keys": class keys (K,), `maps`: (K, H, W)}.

    `first_key` is the key of the data set's first class; a first key below it stands for the background and has no map.
    """
    (path,) = files
    content = read_pickled_dict(path)
    lacking = {"keys", maps} - content.keys()
    if lacking:
        raise DataError(f"{path}: expected 'keys' and '{maps}', but got {sorted(map(str, content))}.")
    keys = _to_ids(path, content["keys"])
    if first_key == 1 and keys[:1] == (0,):
        keys = keys[1:]
    class_ids = tuple(key - first_key + 1 for key in keys)
    check_classes(path, class_ids, request.classes, first_key)
    found = to_class_maps(path, content[maps], class_ids)
    check_full_size(path, found.scores, request.size)
    return found


def read_maps_by_class(files: Files, request: MapRequest, first_key: int) -> ClassMaps:
    """Maps of a dictionary {class key: (H, W)}; as above, key 0 below `first_key` stands for the background."""
    (path,) = files
    content = read_pickled_dict(path)
    keys = sorted(_to_ids(path, list(content)))
    class_ids = tuple(key - first_key + 1 for key in keys if not (key == 0 and first_key == 1))
    check_classes(path, class_ids, request.classes, first_key)
    maps = [np.asarray(content[class_id - 1 + first_key]) for class_id in class_ids]
    for each in maps:
        check_full_size(path, each[None], request.size)
    return to_class_maps(path, np.stack(maps) if maps else np.zeros((0, *request.size), np.float32), class_ids)


def _to_ids(path: Path, keys: Any) -> tuple[int, ...]:
    array = np.asarray(keys)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise DataError(f"{path}: expected class keys as whole numbers (K,), but got {array.dtype} {array.shape}.")
    return tuple(int(key) for key in array)
