"""`.npy`: a floating array (K, h, w) of the image's own classes in ascending order, or (N, h, w) of all classes."""

from __future__ import annotations

from wsl.cam.sources.map_format import Files, MapFormat, find_by_id
from wsl.cam.sources.maps import ClassMaps, MapRequest, to_class_maps
from wsl.cam.sources.npy_header import read_array
from wsl.errors import DataError


def read_npy(files: Files, request: MapRequest) -> ClassMaps:
    """The maps; which classes they are of follows from their number."""
    (path,) = files
    maps = read_array(path)
    count = len(maps) if maps.ndim == 3 else -1
    if count == len(request.classes):
        return to_class_maps(path, maps, tuple(request.classes.ids))
    if request.labels is not None and count == len(request.labels):
        return to_class_maps(path, maps, tuple(sorted(request.labels)))
    own = "" if request.labels is None else f"({len(request.labels)}, h, w) for the classes of the image or "
    raise DataError(
        f"{path}: expected {own}({len(request.classes)}, h, w) for all classes of the data set, but got {maps.shape}."
    )


FORMAT = MapFormat(".npy", read_npy, find_by_id(".npy"))
