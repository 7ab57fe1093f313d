"""`.npz`: the map files of a run of this toolkit, or `scores` (K, h, w) and `class_ids` (K,) from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from wsl.cam.pyramid import MapPyramid
from wsl.cam.sources.limits import check_file_size, check_unpacked_size
from wsl.cam.sources.map_format import Files, MapFormat, find_by_id
from wsl.cam.sources.maps import ClassMaps, MapRequest, StoredMaps, check_classes, to_class_maps
from wsl.cam.store import read_preset, read_pyramid, read_score_maps
from wsl.errors import DataError


def read_npz(files: Files, request: MapRequest) -> ClassMaps | StoredMaps:
    """Our maps with their own preset; of others the scores. Class ids are 1..N, as in label maps."""
    (path,) = files
    check_file_size(path)
    check_unpacked_size(path)
    pyramid = read_pyramid(path, request.image_id)
    if pyramid is None:
        return _read_foreign(path, request)
    check_classes(path, pyramid.class_ids, request.classes, first_key=1)
    if pyramid.size != request.size:
        raise DataError(f"{path}: expected maps of an image of {request.size} (height, width), but got {pyramid.size}.")
    return StoredMaps(_known_only(pyramid, request), read_preset(path, request.image_id))


def _known_only(pyramid: MapPyramid, request: MapRequest) -> MapPyramid:
    """Probabilities of other classes than the data set's say nothing about it."""
    if all(class_id in request.classes.ids for class_id in pyramid.known_ids):
        return pyramid
    return replace(pyramid, probabilities=np.zeros(0, np.float32), known_ids=())


def _read_foreign(path: Path, request: MapRequest) -> ClassMaps:
    maps = read_score_maps(path, request.image_id)
    check_classes(path, maps.class_ids, request.classes, first_key=1)
    with np.load(path, allow_pickle=False) as archive:
        sized = "size" in archive.files
    if sized and maps.size != request.size:
        raise DataError(f"{path}, size: expected the image's {request.size} (height, width), but got {maps.size}.")
    return to_class_maps(path, maps.scores, maps.class_ids)


FORMAT = MapFormat(".npz", read_npz, find_by_id(".npz"))
