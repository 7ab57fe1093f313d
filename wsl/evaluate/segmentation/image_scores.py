"""Per-image mIoU: the mean of the IoUs of single images, where dataset mIoU adds the pixels up first."""

from __future__ import annotations

import numpy as np

from wsl.evaluate.result import Score, compute_mean, name_class
from wsl.evaluate.segmentation.confusion import Values, check_policy, compute_iou_of_counts
from wsl.evaluate.segmentation.image_counts import ImageCounts
from wsl.evaluate.segmentation.scores import average_classes, describe_policies
from wsl.types import ClassSet

PROTOCOL = "per-image mIoU: IoU of each class in each image, then means (torchmetrics MeanIoU)"
AVERAGING = ("images", "pairs", "classes")
_SHOWN_AVERAGING = {
    "images": "over the classes of an image, then over images",
    "pairs": "over all (image, class) pairs",
    "classes": "over the images of a class, then over classes",
}


def compute_image_ious(counts: ImageCounts, absent: str = "skip") -> Values:
    """IoU of each class in each image, float64 (I, N+1), NaN where left out; `absent` as in `compute_iou`."""
    true, predicted, hit = (counts.dense(values) for values in (counts.true, counts.predicted, counts.hit))
    return compute_iou_of_counts(true, predicted, hit, absent)


def compute_image_mious(counts: ImageCounts, absent: str = "skip", background: str = "include") -> Values:
    """mIoU of each image, float64 (I,) in the order of `image_ids`, NaN for an image without scored class."""
    means = [average_classes(row, background) for row in compute_image_ious(counts, absent)]
    return np.array([np.nan if value is None else value for value in means], np.float64)


def image_score(
    counts: ImageCounts,
    classes: ClassSet | None = None,
    absent: str = "skip",
    background: str = "include",
    averaging: str = "images",
) -> Score:
    """Mean of the IoUs of single images. Small objects weigh as much as large ones, and one missed image of a class
    costs the same whatever its size; not to be compared with dataset mIoU.

    `averaging`: `images` takes the mean over the classes of an image and then over images (torchmetrics' function
    `mean_iou` on each image), `pairs` the mean over all (image, class) pairs (its class `MeanIoU`), `classes` the
    mean over the images of each class and then over classes (`MeanIoU(per_class=True)`, averaged). `absent` says
    which classes an image has, as in `compute_iou`; torchmetrics has `skip`. Unlike torchmetrics, 255 is dropped.
    """
    check_policy(averaging, AVERAGING, "averaging")
    ious = compute_image_ious(counts, absent)
    class_means = [compute_mean(list(column)) for column in ious.T]
    in_mean = ious if background == "include" else ious[:, 1:]
    values = {
        "images": lambda: compute_mean(list(compute_image_mious(counts, absent, background))),
        "pairs": lambda: compute_mean(list(in_mean.ravel())),
        "classes": lambda: compute_mean(class_means if background == "include" else class_means[1:]),
    }
    return Score(
        name="mIoU per image",
        value=values[averaging](),
        protocol=PROTOCOL,
        conventions=describe_policies(absent, counts.predicted_ignore, background)
        | {"averaging": _SHOWN_AVERAGING[averaging]},
        per_class={name_class(index, classes): {"iou": value} for index, value in enumerate(class_means)},
        counts={"images": len(counts.image_ids), "image-class pairs": int(np.isfinite(ious).sum())},
    )
