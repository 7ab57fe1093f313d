"""Annotations made for images of another size: found out before a box is compared with the wrong pixels.

Annotation files say the size of the image that they were drawn on. A data set whose images were resized later
keeps the old numbers, and its boxes then lie in the wrong place without any error.
"""

from __future__ import annotations

from collections.abc import Mapping

from wsl.data.images import read_image_size
from wsl.errors import DataError
from wsl.types import Sample

# Headers read before all images are taken to be as declared; `check_dataset` reads every one.
_PROBES = 32


def find_resized(samples: Mapping[str, Sample], declared: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """The images whose size is not the declared one: image_id -> actual (height, width).

    The headers of up to 32 images, evenly spaced, are read; if one differs, those of all. Unreadable images are
    passed over.

    Args:
        samples: by image_id.
        declared: image_id -> (height, width) as the annotations say, for those that do.
    """
    image_ids = sorted(set(samples) & set(declared))
    probes = image_ids[:: max(1, len(image_ids) // _PROBES)]
    if not _find_different(samples, declared, probes):
        return {}
    return _find_different(samples, declared, image_ids)


def scale_box(
    xyxy: tuple[float, float, float, float], declared: tuple[int, int], actual: tuple[int, int]
) -> tuple[float, float, float, float]:
    """A half-open box drawn on an image of size `declared`, on the same image of size `actual` (height, width).

    Raises:
        DataError: the two sizes have not the same proportions, or the box does not lie in `declared`.
    """
    x_scale, y_scale = actual[1] / declared[1], actual[0] / declared[0]
    x1, y1, x2, y2 = xyxy
    same_shape = abs(x_scale * declared[0] - actual[0]) <= max(1.0, x_scale)
    if not same_shape or min(x1, y1) < -1 or x2 > declared[1] + 1 or y2 > declared[0] + 1:
        raise DataError(
            f"its annotation is for an image of {declared[0]}x{declared[1]}, but it is {actual[0]}x{actual[1]} "
            "(height x width), and the boxes cannot be scaled from one to the other."
        )
    return (x1 * x_scale, y1 * y_scale, x2 * x_scale, y2 * y_scale)


def _find_different(
    samples: Mapping[str, Sample], declared: Mapping[str, tuple[int, int]], image_ids: list[str]
) -> dict[str, tuple[int, int]]:
    different = {}
    for image_id in image_ids:
        try:
            actual = read_image_size(samples[image_id].image_path)
        except DataError:
            continue
        if actual != declared[image_id]:
            different[image_id] = actual
    return different
