"""True masks of wsolevaluation's metadata: instances joined, ignored regions, decoded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsl.data.label_maps import read_mask
from wsl.data.paths import find_inside
from wsl.errors import DataError
from wsl.evaluate.localization.pixel_protocols import PixelProtocol
from wsl.evaluate.wsol.metadata import WsolMetadata
from wsl.types import Mask

DEFAULT_CACHE = 256 * 1024 * 1024
_Packed = tuple[tuple[int, ...], NDArray[np.uint8]]


class WsolMasks:
    """Reads an image's true mask and what is ignored in it, on the grid of `protocol`.

    Decoding PNGs costs more than scoring them, so what was read is kept at 2 bits per pixel: on the 224 grid 12.5 KB
    per image, for all folders of maps that are scored with the same object. `cache_bytes` is the limit; images that
    come when it is reached are read anew each time, while the first ones stay (a set is read from front to back).
    """

    def __init__(
        self, metadata: WsolMetadata, root: Path, protocol: PixelProtocol, cache_bytes: int = DEFAULT_CACHE
    ) -> None:
        if not metadata.masks:
            raise DataError(f"{metadata.root / 'localization.txt'}: expected masks, but it lists boxes.")
        if not root.is_dir():
            raise DataError(f"{root}: no such folder; expected the true masks there.")
        self.metadata, self.root, self.protocol = metadata, root, protocol
        self._left = cache_bytes
        self._cache: dict[str, _Packed] = {}

    def read(self, image_id: str) -> tuple[Mask, Mask | None]:
        """(mask, ignore), bool (H, W): the instances' masks (non-zero pixels) joined, and the ignored region without
        them, None where the image has none. DataError for missing or broken files and, on the images' own grid, masks
        of different sizes."""
        if image_id not in self._cache:
            masks = self._read_files(image_id)
            packed = masks[0].shape, np.packbits([each.ravel() for each in masks], axis=1)
            if packed[1].nbytes > self._left:
                return _to_pair(masks)
            self._left -= packed[1].nbytes
            self._cache[image_id] = packed
        size, bits = self._cache[image_id]
        rows = np.unpackbits(bits, axis=1, count=int(np.prod(size))).astype(np.bool_)
        return _to_pair([row.reshape(size) for row in rows])

    def _read_files(self, image_id: str) -> list[Mask]:
        """[mask], or [mask, ignore]."""
        paths = self.metadata.masks[image_id]
        mask = self._read_one(paths.masks[0])
        for name in paths.masks[1:]:
            mask = mask | self._read_one(name, mask)
        return [mask] if paths.ignore is None else [mask, self._read_one(paths.ignore, mask) & ~mask]

    def _read_one(self, name: str, like: Mask | None = None) -> Mask:
        path = find_inside(self.root, name)
        mask = self.protocol.fit_mask(read_mask(path), str(path))
        if like is not None and mask.shape != like.shape:
            raise DataError(f"{path}: the mask is {mask.shape} but another one of the image {like.shape}.")
        return mask


def _to_pair(masks: list[Mask]) -> tuple[Mask, Mask | None]:
    return masks[0], masks[1] if len(masks) == 2 else None
