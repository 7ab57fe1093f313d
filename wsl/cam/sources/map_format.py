"""What a format is: where an image's files are, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wsl.cam.sources.maps import ClassMaps, MapRequest, StoredMaps

Files = tuple[Path, ...]


@dataclass(frozen=True)
class MapFormat:
    """A way to keep maps on disk.

    suffix: of its files; read: the maps of one image's files, checked, in any range; find: the files of one image
    below a folder, () when there is none.
    """

    suffix: str
    read: Callable[[Files, MapRequest], ClassMaps | StoredMaps]
    find: Callable[[Path, MapRequest], Files]


def find_by_id(suffix: str) -> Callable[[Path, MapRequest], Files]:
    """Finds `<folder>/<image id><suffix>`."""

    def find(folder: Path, request: MapRequest) -> Files:
        path = folder / f"{request.image_id}{suffix}"
        return (path,) if path.is_file() else ()

    return find
