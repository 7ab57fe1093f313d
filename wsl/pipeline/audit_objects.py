"""What an audit takes for the objects: true masks, else true boxes, else the run's own label maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsl.cam.store import read_pyramid
from wsl.data.ground_truth import read_ground_truth
from wsl.data.label_maps import read_label_map
from wsl.errors import ConfigError, DataError
from wsl.evaluate.faithfulness.pointing import draw_boxes
from wsl.pipeline.context import Context
from wsl.pipeline.work import StageFiles
from wsl.types import BACKGROUND, IGNORE, LabelMap, Mask, Sample

MASKS, BOXES, PSEUDO_LABELS = "masks", "boxes", "pseudo-labels"
NOTES = {
    MASKS: "objects: the true masks of the data set",
    BOXES: "objects: the true boxes of the data set; ground in a box's corners counts as object",
    PSEUDO_LABELS: (
        "objects: the run's own label maps, for the data set has no masks and no boxes; they were made from the score "
        "maps, so they cannot show that evidence lies on the background: only the photomontage can find something"
    ),
}


@dataclass(frozen=True)
class Objects:
    """bool (H, W) masks of one class in one image: its objects, those of other classes, pixels that do not count."""

    target: Mask
    others: Mask
    ignore: Mask

    @property
    def all(self) -> Mask:
        """Every object, of this class or another."""
        found: Mask = self.target | self.others
        return found


@dataclass(frozen=True)
class ObjectFinder:
    """Finds the objects of a run's images; `kind` says from what."""

    context: Context
    files: StageFiles
    kind: str

    def find(self, sample: Sample, size: tuple[int, int], class_id: int) -> Objects | None:
        """The objects in an image of `size`, None when nothing is known of it; DataError for a broken ground truth."""
        if self.kind == BOXES:
            return _from_boxes(sample, size, class_id)
        label_map = self._read_label_map(sample, size)
        if label_map is None:
            return None
        if label_map.shape != size:
            raise DataError(f"{sample.image_id}: the label map is {label_map.shape}, but the image is {size}.")
        ignore = label_map == IGNORE
        target = label_map == class_id
        return Objects(target, (label_map != BACKGROUND) & ~ignore & ~target, ignore)

    def _read_label_map(self, sample: Sample, size: tuple[int, int]) -> LabelMap | None:
        if self.kind == MASKS:
            return read_ground_truth(sample, size, len(self.context.classes))
        path = self.files.refined(sample.image_id)
        return read_label_map(path) if path.exists() else None

    def labels(self, sample: Sample) -> tuple[int, ...] | None:
        """Classes of an image: its labels, else those that have a map, else None."""
        path = self.files.maps(sample.image_id)
        if sample.class_ids is not None or not path.exists():
            return sample.class_ids
        pyramid = read_pyramid(path, sample.image_id)  # cheaper than the maps made from it
        return pyramid.class_ids if pyramid else self.files.read_maps(sample.image_id).class_ids


def build_object_finder(context: Context, files: StageFiles) -> ObjectFinder:
    """By what the data set has; ConfigError when there is nothing, not even label maps of the run."""
    if context.data.has_masks:
        return ObjectFinder(context, files, MASKS)
    if context.data.has_boxes:
        return ObjectFinder(context, files, BOXES)
    if not any(files.refined(sample.image_id).exists() for sample in context.samples):
        raise ConfigError(
            f"{context.run.path}: the data set has no masks and no boxes, and the run has no label maps in their "
            "place: run the stages to refine first (`wsl run`)."
        )
    return ObjectFinder(context, files, PSEUDO_LABELS)


def _from_boxes(sample: Sample, size: tuple[int, int], class_id: int) -> Objects | None:
    if sample.boxes is None:
        return None
    target = draw_boxes([box for box in sample.boxes if box.class_id == class_id], size)
    others = draw_boxes([box for box in sample.boxes if box.class_id != class_id], size)
    return Objects(target, others & ~target, np.zeros(size, np.bool_))
