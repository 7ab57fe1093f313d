"""A folder of maps made elsewhere: which format it is in, whether its values are normalised, what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsl.cam.preset import Preset
from wsl.cam.sources.formats import AUTO, CONTAINERS, get_format, guess_format
from wsl.cam.sources.map_format import Files
from wsl.cam.sources.maps import ClassMaps, MapRequest, StoredMaps, choose_classes, empty_maps, to_stored
from wsl.data.images import read_image_size
from wsl.errors import ConfigError, DataError
from wsl.types import ClassSet, Sample

PROBES = 32  # images whose maps are read to know the format and the range
_SAMPLED = 8  # places of a file that count for its hash
_BLOCK = 512


@dataclass(frozen=True)
class MapFolder:
    """Maps made elsewhere.

    `reason` says how the format is known. `raw`: values lie outside [0, 1], so the preset normalises every map.
    `given`: the image-level labels choose among the maps; otherwise all maps of an image count.
    """

    path: Path
    format: str
    reason: str
    raw: bool
    classes: ClassSet
    given: bool


def open_map_folder(
    path: Path, *, format: str, samples: Sequence[Sample], classes: ClassSet, given: bool = True
) -> MapFolder:
    """A folder whose files fit at least one image, its format guessed when `format` is "auto".

    Raises ConfigError when there is no such folder, no file fits an image, or the format cannot be known; DataError
    when none of the maps that are looked at first can be read.
    """
    if not path.is_dir():
        raise ConfigError(f"cam.source={path}: expected a folder of score maps, but there is none.")
    fits = [sample for sample in samples if sample.class_ids != () or not given]
    requests = [_request(sample, (0, 0), classes, given) for sample in fits]
    containers = CONTAINERS if format == AUTO else (format,)
    found = {name: [request for request in requests if get_format(name).find(path, request)] for name in containers}
    there = [name for name, some in found.items() if some]
    if not there:
        raise ConfigError(_describe_misfit(path, containers, samples))
    if len(there) > 1:
        raise ConfigError(
            f"cam.source={path}: expected one format, but found {' and '.join(there)} files; set cam.source_format."
        )
    matching = {request.image_id for request in found[there[0]]}
    probes = _spread([sample for sample in fits if sample.image_id in matching])
    reason = "cam.source_format"
    if format == AUTO:
        format, reason = _guess(path, there[0], probes, classes, given)
    folder = MapFolder(path, format, reason, False, classes, given)
    return MapFolder(path, format, reason, _is_raw(folder, probes), classes, given)


def read_maps(folder: MapFolder, sample: Sample, preset: Preset) -> StoredMaps:
    """Maps of one image, ready to be stored; `preset` normalises raw ones.

    Raises DataError when the image has no maps, or they are broken, of another data set or of another size.
    """
    request = _request(sample, read_image_size(sample.image_path), folder.classes, folder.given)
    files = get_format(folder.format).find(folder.path, request)
    if not files and request.labels == ():
        return empty_maps(request)
    if not files:
        raise DataError(f"{folder.path}: no map for image '{sample.image_id}' (format {folder.format}).")
    return to_stored(files[0], _read(folder, files, request), request, folder.raw, preset)


def hash_map_files(folder: MapFolder) -> str:
    """16 hex digits that change when a map file comes, goes or changes: names, sizes, and bytes from eight places."""
    suffix = get_format(folder.format).suffix
    digest = hashlib.sha256()
    for name in sorted(path.relative_to(folder.path).as_posix() for path in folder.path.rglob(f"*{suffix}")):
        path = folder.path / name
        if path.is_file():
            digest.update(f"{name}\0{path.stat().st_size}\0".encode() + _sample_bytes(path))
    return digest.hexdigest()[:16]


def _sample_bytes(path: Path) -> bytes:
    """All of a small file, blocks at even distances of a large one: maps of one shape have files of one size."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if size <= _SAMPLED * _BLOCK:
            return stream.read()
        blocks = []
        for place in range(_SAMPLED):
            stream.seek(place * (size - _BLOCK) // (_SAMPLED - 1))
            blocks.append(stream.read(_BLOCK))
    return b"".join(blocks)


def _request(sample: Sample, size: tuple[int, int], classes: ClassSet, given: bool) -> MapRequest:
    return MapRequest(sample.image_id, size, classes, sample.class_ids if given else None)


def _read(folder: MapFolder, files: Files, request: MapRequest) -> ClassMaps | StoredMaps:
    return choose_classes(files[0], get_format(folder.format).read(files, request), request)


def _spread(samples: list[Sample]) -> list[Sample]:
    return samples[:: max(1, len(samples) // PROBES)]


def _guess(path: Path, container: str, probes: list[Sample], classes: ClassSet, given: bool) -> tuple[str, str]:
    """By the first map file that can be read."""
    first_error: DataError | None = None
    for sample in probes:
        files = get_format(container).find(path, _request(sample, (0, 0), classes, given))
        try:
            return guess_format(files[0])
        except DataError as error:
            first_error = first_error or error
    raise first_error or DataError(f"{path}: no map file.")


def _is_raw(folder: MapFolder, probes: list[Sample]) -> bool:
    """Whether a map of the probed images lies outside [0, 1]; DataError when none of them can be read."""
    errors = []
    for sample in probes:
        try:
            request = _request(sample, read_image_size(sample.image_path), folder.classes, folder.given)
            maps = _read(folder, get_format(folder.format).find(folder.path, request), request)
        except DataError as error:
            errors.append(error)
            continue
        if isinstance(maps, ClassMaps) and maps.is_raw:
            return True
    if len(errors) == len(probes):
        raise errors[0]
    return False


def _describe_misfit(path: Path, formats: tuple[str, ...], samples: Sequence[Sample]) -> str:
    suffixes = sorted({get_format(name).suffix for name in formats})
    found = next((each for each in sorted(path.rglob("*")) if each.suffix in suffixes), None)
    seen = f"the first file is '{found.relative_to(path).as_posix()}'" if found else "there is no such file"
    return (
        f"cam.source={path}: expected map files ({', '.join(suffixes)}) named by image id, as for image "
        f"'{samples[0].image_id}', but {seen}; rename the files or set data.root to the images they were made of."
    )
