"""Score maps on disk: one `.npz` per image, no pickle, written whole or not at all.

Two layouts are read. Ours holds the raw pyramid: `level_0`, `level_1`, ... float32 (K, h, w) of every layer and
scale, `num_layers` (1 when missing), `class_ids` (K,), `probabilities` (G,) of `known_ids` (G,), `size` (2,), `preset`
(JSON text), `flip_agreement` (levels, K) where mirror images were looked at, and `format` = 1. A foreign file needs
only `scores` (K, h, w) in [0, 1] and `class_ids` (K,), 1..N as in label maps; `size` (height, width) is added when the
maps are smaller than the image.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.cam.preset import Preset
from wsl.cam.pyramid import UNKNOWN_AGREEMENT, MapPyramid, fuse, resize_map
from wsl.cam.views import fuse_with_views
from wsl.checks import check_scores
from wsl.data.images import MAX_PIXELS
from wsl.errors import ConfigError, DataError
from wsl.files import atomic_file
from wsl.types import MAX_CLASSES, ScoreMaps, Scores

SUFFIX = ".npz"
FORMAT = 1
OWN_ARRAYS = ("class_ids", "known_ids", "preset", "probabilities", "size")

Arrays = dict[str, NDArray[Any]]
# What zipfile and numpy raise for damaged or foreign archives.
_READ_ERRORS = (
    OSError, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, MemoryError, zipfile.BadZipFile,
    zlib.error, struct.error,
)  # fmt: skip


def write_pyramid(path: Path, pyramid: MapPyramid, preset: Preset) -> None:
    """Writes one image's raw maps and the preset that fuses them; DataError when they are not finite."""
    for level in pyramid.levels:
        check_scores(level, f"{path}, maps to be written")
    arrays = {f"level_{index}": level for index, level in enumerate(pyramid.levels)}
    if len(pyramid.flip_agreement):
        arrays["flip_agreement"] = pyramid.flip_agreement
    with atomic_file(path) as stream:
        np.savez(
            stream,
            format=np.int64(FORMAT),
            class_ids=np.array(pyramid.class_ids, np.int64),
            probabilities=pyramid.probabilities.astype(np.float32),
            known_ids=np.array(pyramid.known_ids, np.int64),
            size=np.array(pyramid.size, np.int64),
            num_layers=np.int64(pyramid.num_layers),
            preset=np.array(json.dumps(preset.as_dict(), sort_keys=True)),
            **arrays,  # type: ignore[arg-type]
        )


def read_score_maps(path: Path, image_id: str) -> ScoreMaps:
    """Scores float32 (K, H, W) of a map file in the image's own pixels.

    Raises DataError naming the file when it is missing, broken, pickled, non-finite or of another shape.
    """
    arrays = _read_arrays(path, image_id)
    if "format" not in arrays:
        return _foreign_maps(path, image_id, arrays)
    return fuse(_own_maps(path, image_id, arrays), _read_preset(path, arrays))


def read_everything(
    path: Path, image_id: str, with_views: bool = False
) -> tuple[ScoreMaps, MapPyramid | None, tuple[Scores, ...]]:
    """(score maps, raw maps, maps of each scale alone) from one reading; errors as in `read_score_maps`.

    The raw maps of a foreign file are None. There are no maps of single scales unless `with_views`, and none of a
    foreign file.
    """
    arrays = _read_arrays(path, image_id)
    if "format" not in arrays:
        return _foreign_maps(path, image_id, arrays), None, ()
    pyramid, preset = _own_maps(path, image_id, arrays), _read_preset(path, arrays)
    maps, views = fuse_with_views(pyramid, preset) if with_views else (fuse(pyramid, preset), ())
    return maps, pyramid, views


def read_pyramid(path: Path, image_id: str) -> MapPyramid | None:
    """The raw maps of a file that this toolkit wrote, None for a foreign one; errors as in `read_score_maps`."""
    arrays = _read_arrays(path, image_id)
    return _own_maps(path, image_id, arrays) if "format" in arrays else None


def read_preset(path: Path, image_id: str) -> Preset:
    """The preset of a file that this toolkit wrote; errors as in `read_score_maps`."""
    return _read_preset(path, _read_arrays(path, image_id))


def _read_arrays(path: Path, image_id: str) -> Arrays:
    try:
        with open(path, "rb") as stream, np.lib.npyio.NpzFile(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no score maps for image '{image_id}'; run the cams stage first.") from None
    except _READ_ERRORS as error:
        raise DataError(f"{path}: expected an .npz of arrays without pickle, but {error}.") from None
    strangers = sorted(name for name, array in arrays.items() if not isinstance(array, np.ndarray))
    if strangers:
        raise DataError(f"{path}: expected an .npz of arrays, but {strangers} are none.")
    return arrays


def _own_maps(path: Path, image_id: str, arrays: Arrays) -> MapPyramid:
    if arrays.get("format", np.zeros(0)).tolist() != FORMAT:
        raise DataError(f"{path}: expected map format {FORMAT}, but got {arrays.get('format')}; make the maps again.")
    names = [f"level_{index}" for index in range(max(1, sum(name.startswith("level_") for name in arrays)))]
    lacking = sorted({*names, *OWN_ARRAYS} - arrays.keys())
    if lacking:
        raise DataError(f"{path}: the map file lacks {lacking}; make the maps again.")
    class_ids, known_ids = _ids(path, arrays, "class_ids"), _ids(path, arrays, "known_ids")
    for name in names:
        _check_maps(path, name, arrays[name], class_ids)
    if arrays["probabilities"].shape != (len(known_ids),):
        shape = arrays["probabilities"].shape
        raise DataError(f"{path}: expected {len(known_ids)} probabilities, one per known class, but got shape {shape}.")
    levels = tuple(arrays[name] for name in names)
    return MapPyramid(
        image_id, levels, class_ids, _size(path, arrays["size"]), arrays["probabilities"], known_ids,
        _num_layers(path, arrays, len(levels)), _flip_agreement(path, arrays, (len(levels), len(class_ids))),
    )  # fmt: skip


def _num_layers(path: Path, arrays: Arrays, levels: int) -> int:
    layers = arrays.get("num_layers", np.int64(1)).tolist()
    if not isinstance(layers, int) or layers < 1 or levels % layers:
        raise DataError(f"{path}, num_layers: expected a divisor of {levels} levels, but got {layers}.")
    return layers


def _flip_agreement(path: Path, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.float32]:
    values = arrays.get("flip_agreement", UNKNOWN_AGREEMENT)
    if values is UNKNOWN_AGREEMENT:
        return values
    in_range = values.dtype == np.float32 and bool((np.isnan(values) | ((values >= 0) & (values <= 1))).all())
    if not in_range or values.shape != shape:
        raise DataError(
            f"{path}, flip_agreement: expected float32 {shape} in [0, 1] or NaN, but got {values.dtype} "
            f"{values.shape}; make the maps again."
        )
    return values


def _read_preset(path: Path, arrays: Arrays) -> Preset:
    try:
        return Preset(**json.loads(str(arrays["preset"])))
    except (ValueError, TypeError, RecursionError, ConfigError) as error:
        raise DataError(f"{path}: expected the fields of a preset, but {error}; make the maps again.") from None


def _foreign_maps(path: Path, image_id: str, arrays: Arrays) -> ScoreMaps:
    if not {"scores", "class_ids"} <= arrays.keys():
        raise DataError(f"{path}: expected arrays 'scores' (K, h, w) and 'class_ids' (K,), but got {sorted(arrays)}.")
    class_ids = _ids(path, arrays, "class_ids")
    scores = arrays["scores"]
    if scores.dtype.kind in "biu":
        scores = scores.astype(np.float32)
    _check_maps(path, "scores", scores, class_ids)
    size = _size(path, arrays["size"]) if "size" in arrays else (scores.shape[1], scores.shape[2])
    full = np.zeros((len(scores), *size), np.float32)
    for row, each in enumerate(scores.astype(np.float32, copy=False)):
        full[row] = resize_map(each, size, align_corners=False)
    return ScoreMaps(image_id, full, class_ids, size, np.full(len(scores), np.nan, np.float32))


def _check_maps(path: Path, name: str, maps: NDArray[Any], class_ids: tuple[int, ...]) -> None:
    check_scores(maps, f"{path}, {name}")
    if len(maps) != len(class_ids) or 0 in maps.shape[1:]:
        raise DataError(
            f"{path}, {name}: expected ({len(class_ids)}, h, w) for {len(class_ids)} class ids, but got {maps.shape}."
        )


def _ids(path: Path, arrays: Arrays, name: str) -> tuple[int, ...]:
    ids = arrays[name]
    whole = ids.ndim == 1 and (ids.size == 0 or ids.dtype.kind in "iu")
    if not whole or len(set(ids.tolist())) != len(ids) or any(not 1 <= each <= MAX_CLASSES for each in ids.tolist()):
        raise DataError(
            f"{path}, {name}: expected (K,) different class ids in 1..{MAX_CLASSES}, "
            f"but got {ids.dtype} {ids.tolist()}."
        )
    return tuple(int(class_id) for class_id in ids)


def _size(path: Path, size: NDArray[Any]) -> tuple[int, int]:
    if size.shape != (2,) or size.dtype.kind not in "iu" or size.min() < 1 or math.prod(size.tolist()) > MAX_PIXELS:
        raise DataError(
            f"{path}, size: expected (height, width) of at most {MAX_PIXELS} pixels, "
            f"but got {size.dtype} {size.tolist()}."
        )
    return int(size[0]), int(size[1])
