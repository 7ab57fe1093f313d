"""Score maps on disk: one `.npz` per image, no pickle, written whole or not at all.

Two layouts are read. Ours holds the raw pyramid: `level_0`, `level_1`, ... float32 (K, h, w), `class_ids` (K,),
`probabilities` (G,) of `known_ids` (G,), `size` (2,), `preset` (JSON text) and `format` = 1. A foreign file needs only
`scores` (K, h, w) in [0, 1] and `class_ids` (K,); `size` (height, width) is added when the maps are smaller than the
image.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.cam.preset import Preset
from wsl.cam.pyramid import MapPyramid, fuse, resize_map
from wsl.checks import check_scores
from wsl.errors import DataError
from wsl.files import atomic_file
from wsl.types import ScoreMaps

SUFFIX = ".npz"
FORMAT = 1


def write_pyramid(path: Path, pyramid: MapPyramid, preset: Preset) -> None:
    """Writes one image's raw maps and the preset that fuses them."""
    arrays = {f"level_{index}": level for index, level in enumerate(pyramid.levels)}
    with atomic_file(path) as stream:
        np.savez(
            stream,
            format=np.int64(FORMAT),
            class_ids=np.array(pyramid.class_ids, np.int64),
            probabilities=pyramid.probabilities.astype(np.float32),
            known_ids=np.array(pyramid.known_ids, np.int64),
            size=np.array(pyramid.size, np.int64),
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
    return fuse(_own_maps(path, image_id, arrays), Preset(**json.loads(str(arrays["preset"]))))


def read_pyramid(path: Path, image_id: str) -> MapPyramid:
    """The raw maps of a file that this toolkit wrote; errors as in `read_score_maps`."""
    return _own_maps(path, image_id, _read_arrays(path, image_id))


def _read_arrays(path: Path, image_id: str) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no score maps for image '{image_id}'; run the cams stage first.") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: expected an .npz of arrays without pickle, but {error}.") from None


def _own_maps(path: Path, image_id: str, arrays: dict[str, NDArray[Any]]) -> MapPyramid:
    if int(arrays.get("format", 0)) != FORMAT:
        raise DataError(f"{path}: expected map format {FORMAT}, but got {arrays.get('format')}; make the maps again.")
    levels = tuple(arrays[f"level_{index}"] for index in range(sum(name.startswith("level_") for name in arrays)))
    for level in levels:
        check_scores(level, str(path))
    return MapPyramid(
        image_id,
        levels,
        tuple(arrays["class_ids"].tolist()),
        (int(arrays["size"][0]), int(arrays["size"][1])),
        arrays["probabilities"],
        tuple(arrays["known_ids"].tolist()),
    )


def _foreign_maps(path: Path, image_id: str, arrays: dict[str, NDArray[Any]]) -> ScoreMaps:
    if not {"scores", "class_ids"} <= arrays.keys():
        raise DataError(f"{path}: expected arrays 'scores' (K, h, w) and 'class_ids' (K,), but got {sorted(arrays)}.")
    scores = arrays["scores"].astype(np.float32, copy=False)
    check_scores(scores, str(path))
    size = tuple(int(side) for side in arrays.get("size", scores.shape[1:]))
    full = np.stack([resize_map(row, size, align_corners=False) for row in scores]) if len(scores) else scores
    full = full.reshape(len(scores), *size)
    class_ids = tuple(int(class_id) for class_id in arrays["class_ids"].reshape(-1))
    return ScoreMaps(image_id, full, class_ids, (size[0], size[1]), np.full(len(scores), np.nan, np.float32))
