"""The images of a comparison with what is known of them, the same for every method."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsl.cam.chunks import choose_batch_size
from wsl.cam.classes import compute_probabilities
from wsl.data.ground_truth import read_ground_truth
from wsl.data.images import read_image
from wsl.data.resizing import scale_image
from wsl.errors import DataError
from wsl.evaluate.faithfulness.pointing import draw_boxes
from wsl.localize.components import find_components
from wsl.models.classifier import Classifier
from wsl.pipeline.classifiers import ReadyClassifier
from wsl.pipeline.context import Context
from wsl.pipeline.images import failure_of
from wsl.pipeline.picturing import spread
from wsl.pipeline.run_folder import Failure
from wsl.types import BACKGROUND, IGNORE, Box, Image, LabelMap, Mask, Sample

log = logging.getLogger("wsl")

DEFAULT_SIDE = 224  # of the square that the classifier sees, where its training does not say


@dataclass(frozen=True)
class Case:
    """One image: class_ids = its labels that the classifier knows; `focus` = the one whose faithfulness is measured.

    truth: label map, None where the data set has no masks. boxes: the annotated ones, else those around the connected
    regions of each class of the mask; None where there are neither.
    """

    sample: Sample
    image: Image
    class_ids: tuple[int, ...]
    focus: int
    truth: LabelMap | None
    boxes: tuple[Box, ...] | None

    def object_mask(self, class_id: int) -> tuple[Mask, Mask] | None:
        """(objects of a class, pixels that do not count), both bool (H, W); None when there is no such object."""
        size = (self.image.shape[0], self.image.shape[1])
        if self.truth is not None:
            inside, ignore = self.truth == class_id, self.truth == IGNORE
        else:
            inside = draw_boxes([box for box in self.boxes or () if box.class_id == class_id], size)
            ignore = np.zeros(size, np.bool_)
        return (inside, ignore) if inside.any() else None


@dataclass(frozen=True)
class ClassPredictor:
    """Probabilities of the classes for images of one square; the classifier is ready for use on its device."""

    model: Classifier
    ready: ReadyClassifier
    device: torch.device

    @property
    def side(self) -> int:
        """Side of the square in pixels."""
        return self.ready.predict_side or DEFAULT_SIDE

    def to_square(self, image: Image) -> Image:
        """The image resampled as in training: uint8 (side, side, 3)."""
        return scale_image(image, (self.side, self.side))

    def probabilities(self, images: NDArray[Any]) -> NDArray[np.float64]:
        """images float or uint8 (N, H, W, 3) in [0, 255] -> float64 (N, classes) in the order of the groups."""
        step = choose_batch_size((images.shape[1], images.shape[2]), on_cpu=self.device.type == "cpu")
        parts = [self._chunk(images[start : start + step]) for start in range(0, len(images), step)]
        return np.concatenate(parts)

    def of_class(self, class_id: int) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
        """The probability of one class alone, as the faithfulness metrics want it."""
        column = list(self.ready.groups).index(class_id)
        return lambda images: self.probabilities(images)[:, column]

    def _chunk(self, images: NDArray[Any]) -> NDArray[np.float64]:
        batch = torch.from_numpy(np.ascontiguousarray(images, np.float32)).to(self.device)
        mean, std = (torch.tensor(each, device=self.device) for each in (self.model.mean, self.model.std))
        batch = ((batch / 255 - mean) / std).permute(0, 3, 1, 2)  # in memory channels last, as the model is
        with torch.inference_mode():
            logits = self.model(batch)
        return compute_probabilities(logits, self.ready.groups, self.ready.label_mode).astype(np.float64)


def choose_samples(samples: Sequence[Sample], known: Sequence[int], count: int) -> list[Sample]:
    """`count` samples spread evenly over those that have a class that the classifier knows."""
    usable = [sample for sample in samples if set(sample.class_ids or ()) & set(known)]
    if not usable:
        raise DataError(
            "compare: expected images with a class that the classifier knows, but there is none; CAM methods are "
            "compared on labelled images."
        )
    return spread(usable, count)


class Cases:
    """The cases of a comparison. Images are read anew in every pass, so memory does not grow with their number."""

    def __init__(self, context: Context, predictor: ClassPredictor, samples: Sequence[Sample]) -> None:
        self.num_classes, self.predictor = len(context.classes), predictor
        self.failures: list[Failure] = []
        self._focus: dict[str, int] = {}
        self.samples = [sample for sample in samples if self._try(sample)]
        if not self.samples:
            raise DataError(f"compare: none of the {len(samples)} images can be used: {self.failures[0].message}")

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Case]:
        return (self._read(sample) for sample in self.samples)

    def _try(self, sample: Sample) -> bool:
        """Whether image and ground truth can be read; finds the class that the classifier is surest of."""
        try:
            image = read_image(sample.image_path)
            read_ground_truth(sample, (image.shape[0], image.shape[1]), self.num_classes)
        except DataError as error:
            self.failures.append(failure_of(sample, error))
            return False
        (row,) = self.predictor.probabilities(self.predictor.to_square(image)[None])
        found = dict(zip(self.predictor.ready.groups, row.tolist(), strict=True))
        self._focus[sample.image_id] = max(self._class_ids(sample), key=lambda class_id: found[class_id])
        return True

    def _class_ids(self, sample: Sample) -> tuple[int, ...]:
        return tuple(sorted(set(sample.class_ids or ()) & self.predictor.ready.groups.keys()))

    def _read(self, sample: Sample) -> Case:
        image = read_image(sample.image_path)
        truth = read_ground_truth(sample, (image.shape[0], image.shape[1]), self.num_classes)
        boxes = find_true_boxes(sample, truth)
        return Case(sample, image, self._class_ids(sample), self._focus[sample.image_id], truth, boxes)


def find_true_boxes(sample: Sample, truth: LabelMap | None) -> tuple[Box, ...] | None:
    """The annotated boxes (crowds left out), else those around the connected regions of the mask, else None."""
    if sample.instances is not None:
        return tuple(instance.box for instance in sample.instances if not instance.crowd)
    if truth is None:
        return None
    boxes = []
    for class_id in sorted(set(np.unique(truth).tolist()) - {BACKGROUND, IGNORE}):
        for x, y, width, height, _ in find_components(truth == class_id)[1].tolist():
            boxes.append(Box((float(x), float(y), float(x + width), float(y + height)), class_id))
    return tuple(boxes)
