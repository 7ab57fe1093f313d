"""The images that trials are judged on: read once as far as memory allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wsl.cam.store import read_everything
from wsl.pipeline.run_case import RunCase
from wsl.pipeline.work import StageFiles
from wsl.types import Image, LabelMap, Sample, ScoreMaps, Scores

MOST_BYTES = 512 * 2**20  # kept by each process; what does not fit is read again by every trial


@dataclass(frozen=True)
class TuningImage:
    """What a trial may look at; `truth` only where the objective asks for masks."""

    sample: Sample
    maps: ScoreMaps
    views: tuple[Scores, ...]
    image: Image
    truth: LabelMap | None

    @property
    def bytes(self) -> int:
        """Memory of the arrays."""
        arrays: list[Any] = [self.maps.scores, *self.views, self.image]
        return sum(each.nbytes for each in arrays) + (0 if self.truth is None else self.truth.nbytes)


@dataclass(frozen=True)
class ImageReader:
    """Reads images with their maps; can be sent to other processes. DataError for what is missing or does not fit."""

    files: StageFiles
    num_classes: int
    with_views: bool
    with_truth: bool

    def read(self, sample: Sample) -> TuningImage:
        """One image from its files."""
        maps, pyramid, views = read_everything(self.files.maps(sample.image_id), sample.image_id, self.with_views)
        case = RunCase(sample, maps, pyramid, views, self.files, self.num_classes)
        _ = case.size  # maps of another size are refused
        return TuningImage(sample, maps, views, case.image, case.truth if self.with_truth else None)


class Kept:
    """Images in memory, the first ones that fit; trials take all in the same order, so a queue would keep none."""

    def __init__(self, reader: ImageReader) -> None:
        self.reader, self.bytes = reader, 0
        self.images: dict[str, TuningImage] = {}

    def each(self, samples: Sequence[Sample]) -> Iterator[TuningImage]:
        """The images of `samples` in order."""
        for sample in samples:
            found = self.images.get(sample.image_id)
            if found is None:
                found = self.reader.read(sample)
                if self.bytes + found.bytes <= MOST_BYTES:
                    self.images[sample.image_id] = found
                    self.bytes += found.bytes
            yield found


_kept: Kept | None = None


def keep_images(reader: ImageReader) -> Kept:
    """This process's memory of the images of `reader`; another reader's are let go."""
    global _kept
    if _kept is None or _kept.reader != reader:
        _kept = Kept(reader)
    return _kept


def forget_images() -> None:
    """Lets all images go."""
    global _kept
    _kept = None


def hide_truth(sample: Sample) -> Sample:
    """The sample without masks and boxes: what is not there cannot be looked at."""
    return replace(sample, instances=None, mask=None)


def shuffle(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """At most `count` samples in an order drawn by `seed`, so that any first part is a fair sample of all."""
    order = np.random.default_rng(seed).permutation(len(samples))[:count]
    ordered = sorted(samples, key=lambda sample: sample.image_id)
    return [ordered[place] for place in order]
