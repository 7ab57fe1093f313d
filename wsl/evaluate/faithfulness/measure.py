"""All metrics that ask the classifier, for one image and one class, in one batch of predictions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.faithfulness.confidence import compute_complexity, compute_drop, compute_increase, mask_image
from wsl.evaluate.faithfulness.insertion_deletion import compute_area, make_deletions, make_insertions
from wsl.evaluate.faithfulness.maps import BLACK, IMAGENET_MEAN, Colour, Predict, check_pair, rank_pixels
from wsl.evaluate.faithfulness.road import NOISE, check_percentages, compute_road, make_removals
from wsl.types import Image

PROTOCOL = "faithfulness: score of the class for changed images"


@dataclass(frozen=True)
class FaithfulnessSettings:
    """What is measured, and how finely.

    steps: parts in which pixels are inserted and deleted. percentages: of pixels that ROAD removes. noise: of ROAD, as
    a share of 255. seed: of that noise. mask_colour: behind the map for average drop and increase (the paper: black).
    deletion_colour: of deleted pixels (RISE: the mean).
    """

    steps: int = 16
    percentages: tuple[float, ...] = (20.0, 40.0, 60.0, 80.0)
    noise: float = NOISE
    seed: int = 0
    mask_colour: Colour = BLACK
    deletion_colour: Colour = IMAGENET_MEAN

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"steps: expected at least 1, but got {self.steps}.")
        check_percentages(self.percentages)

    @property
    def predictions(self) -> int:
        """How many images the classifier sees for one image and class."""
        return 2 + 2 * self.steps + 2 * len(self.percentages)

    def as_dict(self) -> dict[str, Any]:
        """The fields, for files."""
        return asdict(self)


def measure_faithfulness(
    predict: Predict,
    image: Image,
    score_map: NDArray[np.floating],
    settings: FaithfulnessSettings | None = None,
) -> dict[str, float]:
    """Average drop, increase in confidence, complexity, insertion and deletion area, and ROAD of one map.

    predict: float32 (N, H, W, 3) images in [0, 255] -> float64 (N,) probabilities of the class. image: uint8 (H, W, 3).
    score_map: floating (H, W) in [0, 1]. `predict` is called once, for `settings.predictions` images: the image itself,
    and the blurred and the painted one at the ends of the curves, are predicted once for all metrics.
    """
    check_pair(image, score_map)
    settings = settings or FaithfulnessSettings()
    order = rank_pixels(score_map)
    deletions = make_deletions(image, order, settings.steps, settings.deletion_colour)
    insertions = make_insertions(image, order, settings.steps)[:-1]  # the last one is the image
    road = [
        make_removals(image, each, settings.percentages, settings.noise, settings.seed) for each in (order, order[::-1])
    ]
    parts = [deletions, insertions, mask_image(image, score_map, settings.mask_colour), *road]
    scores = _predict(predict, np.concatenate(parts))
    deleted, inserted, masked, most, least = np.split(scores, np.cumsum([len(part) for part in parts])[:-1])
    before = float(deleted[0])
    return {
        "average drop": compute_drop(before, float(masked[0])),
        "increase in confidence": compute_increase(before, float(masked[0])),
        "complexity": compute_complexity(score_map),
        "insertion": compute_area(np.append(inserted, before)),
        "deletion": compute_area(deleted),
        **compute_road(before, most, least),
    }


def _predict(predict: Predict, images: NDArray[np.float32]) -> NDArray[np.float64]:
    scores = np.asarray(predict(images), np.float64)
    if scores.shape != (len(images),) or not np.isfinite(scores).all():
        raise DataError(f"predict: expected {len(images)} finite class scores, but got an array of {scores.shape}.")
    return scores
