"""One image as the metrics see it: a result and the truth, both in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from wsl.evaluate.segmentation.confusion import Counts, count_pairs
from wsl.types import Box, Image, Instance, LabelMap, Scores


@dataclass(frozen=True)
class LabelMapCase:
    """`truth` and `prediction` uint8 (H, W), 0 background, 255 ignore."""

    image_id: str
    truth: LabelMap
    prediction: LabelMap

    @cached_property
    def pairs(self) -> Counts:
        """The table of `count_pairs`, counted once for all metrics."""
        return count_pairs(self.truth, self.prediction, self.image_id)


@dataclass(frozen=True)
class ScoreMapCase:
    """`scores` float32 (K, H, W) of `class_ids`; `truth` uint8 (H, W) or None; `boxes` all true boxes or None.

    `size` (H, W) of the image. `ranking`: class ids as the classifier ranks them for the whole image, best first, None
    where unknown. `image` uint8 (H, W, 3) and `views` (maps of single scales) only where a label-free rule needs them.
    """

    image_id: str
    scores: Scores
    class_ids: tuple[int, ...]
    size: tuple[int, int]
    truth: LabelMap | None = None
    boxes: tuple[Box, ...] | None = None
    ranking: tuple[int, ...] | None = None
    image: Image | None = None
    views: tuple[Scores, ...] = ()


@dataclass(frozen=True)
class BoxCase:
    """Predicted boxes and true instances of all classes of one image."""

    image_id: str
    predicted: tuple[Box, ...]
    instances: tuple[Instance, ...]

    @property
    def objects(self) -> tuple[Box, ...]:
        """See `list_objects`."""
        return list_objects(self.instances)


def list_objects(instances: Sequence[Instance]) -> tuple[Box, ...]:
    """True boxes of single objects; a crowd is no object that a box could find."""
    return tuple(instance.box for instance in instances if not instance.crowd)
