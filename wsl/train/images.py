"""Training images in memory: decoded once, kept at working size, prepared by threads ahead of the network."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from wsl.data.images import read_image
from wsl.data.resizing import scale_image
from wsl.errors import DataError
from wsl.types import Image, Sample

KEEP_BYTES = 1 << 30
BATCHES_AHEAD = 3

T = TypeVar("T")


class ImageStore:
    """The images of `samples` at working size; those that cannot be read are remembered in `failures`.

    size: pixels; resize "stretch" keeps (size, size), "crop" keeps the short side at `size`; an image is never
    enlarged here. keep_bytes: memory for decoded images; what does not fit is decoded again each time.
    """

    def __init__(self, samples: Sequence[Sample], size: int, resize: str, keep_bytes: int = KEEP_BYTES) -> None:
        self.samples, self.size, self.resize = samples, size, resize
        self.failures: dict[str, str] = {}
        self._kept: dict[int, Image] = {}
        self._free = keep_bytes
        self._lock = threading.Lock()

    def read(self, index: int) -> Image | None:
        """Image `index` as uint8 (h, w, 3), None when it cannot be read."""
        sample = self.samples[index]
        if index in self._kept:
            return self._kept[index]
        if sample.image_id in self.failures:
            return None
        try:
            image = self._shrink(read_image(sample.image_path))
        except DataError as error:
            self.failures[sample.image_id] = str(error)
            return None
        self._keep(index, image)
        return image

    def _shrink(self, image: Image) -> Image:
        height, width = image.shape[:2]
        if self.resize == "stretch":
            return scale_image(image, (min(height, self.size), min(width, self.size)))
        factor = self.size / min(height, width)
        if factor >= 1:
            return image
        return scale_image(image, (max(1, round(height * factor)), max(1, round(width * factor))))

    def _keep(self, index: int, image: Image) -> None:
        with self._lock:
            if image.nbytes <= self._free:
                self._free -= image.nbytes
                self._kept[index] = image


def load_batches(
    batches: Sequence[Sequence[int]], prepare: Callable[[int], Image | None], workers: int
) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """For each batch of indices the ones that could be prepared, and their images (B, S, S, 3) uint8, in order.

    workers: threads; a few batches are prepared ahead, never more. 0 prepares in the caller's thread.
    """
    for batch, images in zip(batches, _map_ahead(batches, prepare, workers), strict=True):
        good = [(index, image) for index, image in zip(batch, images, strict=True) if image is not None]
        shape = (0, 0, 0, 3) if not good else (len(good), *good[0][1].shape)
        stacked = np.empty(shape, np.uint8)
        for row, (_, image) in zip(stacked, good, strict=True):
            row[...] = image
        yield [index for index, _ in good], stacked


def _map_ahead(
    batches: Sequence[Sequence[int]], prepare: Callable[[int], T], workers: int
) -> Iterator[list[T]]:  # fmt: skip
    if workers == 0:
        yield from ([prepare(index) for index in batch] for batch in batches)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="wsl-images") as pool:
        waiting: deque[list[Future[T]]] = deque()
        try:
            for batch in batches:
                waiting.append([pool.submit(prepare, index) for index in batch])
                if len(waiting) > BATCHES_AHEAD:
                    yield [future.result() for future in waiting.popleft()]
            while waiting:
                yield [future.result() for future in waiting.popleft()]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
