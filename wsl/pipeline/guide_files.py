"""Files that say more of an image than its pixels: one array for each, made by a network here or elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsl.cam.sources.npy_header import read_array
from wsl.data.images import open_image
from wsl.errors import DataError


def read_guide(folder: Path, image_id: str, kind: str) -> NDArray[np.float32]:
    """`folder/<image id>.npy` as float32: features (C, h, w), attention (layers, N, N) or (N, N), edges (h, w).

    Edges may also be a grey PNG, 255 = an edge. Raises DataError when there is no such file.
    """
    path, picture = folder / f"{image_id}.npy", folder / f"{image_id}.png"
    if path.is_file():
        return read_array(path).astype(np.float32)
    if kind == "edges" and picture.is_file():
        with open_image(picture) as image:
            return np.asarray(image.convert("L"), np.float32) / np.float32(255)
    also = " or .png" if kind == "edges" else ""
    raise DataError(f"{path}: no such file{also}; the refiner wants {kind} for each image (refine.guides).")
