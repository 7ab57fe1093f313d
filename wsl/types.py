"""The records that flow through the pipeline. Small, frozen, checked where they are made.

Words used everywhere: sizes are (height, width); boxes are xyxy in pixels, float, half-open; a `class_id` is
the value that the class has in a label map: 1..N for the classes of a `ClassSet`, 0 for background, 255 for
"not sure / do not score".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError, suggest

BACKGROUND = 0
IGNORE = 255
MAX_CLASSES = 254

Image = NDArray[np.uint8]  # (H, W, 3) RGB
LabelMap = NDArray[np.uint8]  # (H, W), 0 background, 255 ignore
Mask = NDArray[np.bool_]  # (H, W)
Scores = NDArray[np.float32]  # (K, h, w)


@dataclass(frozen=True)
class ClassSet:
    """The foreground classes of a data set in order: `names[i]` has class_id `i + 1`; 0 is `background_name`."""

    names: tuple[str, ...]
    background_name: str = "background"

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            doubles = sorted({name for name in self.names if self.names.count(name) > 1})
            raise ConfigError(f"Class names must differ, but {doubles} appear twice.")
        if not 1 <= len(self.names) <= MAX_CLASSES:
            raise ConfigError(
                f"Expected 1 to {MAX_CLASSES} foreground classes (label maps are 8-bit, 255 is 'ignore'), "
                f"but got {len(self.names)}."
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def ids(self) -> range:
        """Foreground class ids, 1..N."""
        return range(1, len(self.names) + 1)

    def id_of(self, name: str) -> int:
        """class_id of a name, 0 for the background's."""
        if name == self.background_name:
            return BACKGROUND
        if name not in self.names:
            raise DataError(f"Unknown class '{name}'.{suggest(name, self.names)}")
        return self.names.index(name) + 1

    def name_of(self, class_id: int) -> str:
        """Name of a class_id in 0..N."""
        if not 0 <= class_id <= len(self.names):
            raise DataError(f"Expected a class id in 0..{len(self.names)}, but got {class_id}.")
        return self.background_name if class_id == BACKGROUND else self.names[class_id - 1]


@dataclass(frozen=True)
class Box:
    """One box: `xyxy` in pixels, float, half-open (x2 - x1 is the width); score in [0, 1] or any rank."""

    xyxy: tuple[float, float, float, float]
    class_id: int
    score: float = 1.0
    difficult: bool = False


@dataclass(frozen=True)
class Instance:
    """One ground-truth instance. `segmentation` is COCO's: RLE dict, polygons, or None when there is only a box."""

    class_id: int
    box: Box
    segmentation: Any = None
    crowd: bool = False


@dataclass(frozen=True)
class MaskSource:
    """Where the ground-truth label map of an image is: read only when something is scored.

    kind `label_map`: PNG whose pixel values are class ids (palette or grey), through `value_map` if given;
    kind `binary`: a mask image whose non-zero pixels are `class_id`, everything else background;
    kind `instances`: drawn from the sample's `instances`;
    kind `background`: the image has no object, the whole map is 0.
    """

    kind: str
    path: Path | None = None
    class_id: int = BACKGROUND
    value_map: dict[int, int] | None = None


@dataclass(frozen=True)
class Sample:
    """One image of a data set.

    `image_id` is unique in the data set and may contain '/' (it names the output files, never an absolute or
    '..' path). `class_ids` are the image-level labels in ascending order: () = background only, None = not
    known. `instances` and `mask` are ground truth, for scoring only.
    """

    image_id: str
    image_path: Path
    class_ids: tuple[int, ...] | None = None
    instances: tuple[Instance, ...] | None = None
    mask: MaskSource | None = None

    @property
    def boxes(self) -> tuple[Box, ...] | None:
        """Ground-truth boxes; None when the data set has none."""
        return None if self.instances is None else tuple(instance.box for instance in self.instances)


@dataclass(frozen=True)
class ScoreMaps:
    """Class evidence of one image: `scores` float32 (K, h, w) for `class_ids`, in [0, 1] once normalised.

    `size` is the (height, width) of the image. `class_scores` float32 (K,) is what the classifier says of each
    class for the whole image, in [0, 1], NaN where unknown.
    """

    image_id: str
    scores: Scores
    class_ids: tuple[int, ...]
    size: tuple[int, int]
    class_scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        if self.scores.ndim != 3 or len(self.scores) != len(self.class_ids):
            raise DataError(
                f"{self.image_id}: expected scores of shape ({len(self.class_ids)}, h, w) for "
                f"{len(self.class_ids)} classes, but got {self.scores.shape}."
            )
