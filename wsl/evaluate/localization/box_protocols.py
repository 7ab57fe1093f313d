"""Named protocols of MaxBoxAcc: which grid, which normalisation, which boxes; a map scores differently in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import ConfigError, DataError, suggest
from wsl.evaluate.localization.level_boxes import BOX_RULES
from wsl.evaluate.localization.levels import check_map, to_8_bit, to_8_bit_as_given
from wsl.evaluate.segmentation.confusion import check_policy

GRIDS = ("original", "224")
MAPS = ("min-max", "as given")
EMPTY = ("no box", "corner box")
_SIDE = 224


@dataclass(frozen=True)
class BoxProtocol:
    """The free choices of MaxBoxAcc.

    grid: "original" = map and true boxes in the pixels of the image; "224" = both on a grid of 224 x 224, the corners
    of true boxes cut to whole pixels, int(x * 224 / width).
    maps: "min-max" = each map is stretched to [0, 1], after it was brought to the grid; "as given" = already in [0, 1].
    interval: thresholds are np.arange(0, 1, interval).
    box_rule: "wsolevaluation" = x1 and y1 of the map's boxes are clipped at W - 1 and H - 1 and the IoU counts both
    ends (+1), so that a perfect mask of a 10 pixel object gets 0.83; "half_open" = neither.
    empty: a level without a foreground pixel has "no box" and misses, or the "corner box" [0, 0, 0, 0], which can hit a
    tiny object in the corner.
    """

    name: str
    grid: str = "original"
    maps: str = "min-max"
    interval: float = 0.01
    box_rule: str = "wsolevaluation"
    empty: str = "no box"

    def __post_init__(self) -> None:
        check_policy(self.grid, GRIDS, "grid")
        check_policy(self.maps, MAPS, "maps")
        check_policy(self.box_rule, BOX_RULES, "box_rule")
        check_policy(self.empty, EMPTY, "empty")

    def conventions(self) -> dict[str, str]:
        """Every choice in words, as it stands beside a score."""
        clipped = "both ends counted (+1), boxes clipped at W-1, H-1"
        stretched = "min-max per map, 8 bit, strict >"
        return {
            "protocol": self.name,
            "box IoU": clipped if self.box_rule == "wsolevaluation" else "half-open",
            "grid": self.grid,
            "comparison": "IoU >=",
            "map": stretched if self.maps == "min-max" else "as given, 8 bit, strict > int(t * max)",
            "map without foreground": self.empty,
        }


# Choe et al., CVPR 2020: `wsolevaluation` as its inference scores the maps of a network, `wsolevaluation_files` as its
# evaluation command line scores stored maps.
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        BoxProtocol("original"),
        BoxProtocol("wsolevaluation", grid="224", interval=0.001, empty="corner box"),
        BoxProtocol("wsolevaluation_files", grid="224", maps="as given", empty="corner box"),
        BoxProtocol("half_open", box_rule="half_open"),
    )
}


def get_protocol(name: str) -> BoxProtocol:
    """The protocol of that name; ConfigError with the nearest name when there is none."""
    if name not in PROTOCOLS:
        raise ConfigError(f"Unknown box protocol '{name}'.{suggest(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def check_iou_thresholds(values: Sequence[float]) -> tuple[float, ...]:
    """`values` as floats; ConfigError unless there is at least one and all differ and lie in (0, 1]."""
    given = tuple(float(value) for value in values)
    if not given or len(set(given)) < len(given) or not all(0 < value <= 1 for value in given):
        raise ConfigError(f"iou_thresholds: expected different values in (0, 1], but got {given}.")
    return given


def list_thresholds(protocol: BoxProtocol, thresholds: ArrayLike | None = None) -> NDArray[np.float64]:
    """`thresholds`, by default the protocol's, float64 (T,), ascending and different."""
    # arange as the published command line, so that 0.57 is 0.57000000000000006 and so on
    return np.arange(0, 1, protocol.interval) if thresholds is None else np.unique(np.asarray(thresholds, np.float64))


def prepare_map(
    protocol: BoxProtocol, score_map: NDArray[np.floating], size: tuple[int, int] | None, name: str = "score map"
) -> NDArray[np.uint8]:
    """The map as uint8 (H, W) on the protocol's grid.

    `size` (height, width) of the image, which the grid "224" needs. DataError for a map that is not floating (H, W) or
    not finite, whose size is neither the image's nor, on the grid "224", 224 x 224, and, as given, for one that is not
    of the grid's size or not in [0, 1].
    """
    check_map(score_map, name)
    wanted = _check_size(protocol, score_map.shape, size, name)
    if protocol.maps == "as given":
        return to_8_bit_as_given(score_map, name)
    if score_map.shape == wanted:
        return to_8_bit(score_map, name)
    resized = cv2.resize(score_map.astype(np.float64), wanted[::-1], interpolation=cv2.INTER_CUBIC)
    return to_8_bit(np.asarray(resized, np.float64), name)


def prepare_truth(protocol: BoxProtocol, boxes: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float64]:
    """True boxes float64 (G, 4) xyxy in pixels of an image of `size` (height, width), on the protocol's grid."""
    if protocol.grid == "original":
        return boxes
    return np.trunc(boxes * _SIDE / np.array([size[1], size[0]] * 2, np.float64))


def _check_size(
    protocol: BoxProtocol, shape: tuple[int, ...], size: tuple[int, int] | None, name: str
) -> tuple[int, int]:
    """The (height, width) of the grid."""
    if protocol.grid == "224" and size is None:
        raise ConfigError(f"{name}: on the grid 224 true boxes move with the image, so its size must be given.")
    image = (shape[0], shape[1]) if size is None else (int(size[0]), int(size[1]))
    grid = (_SIDE, _SIDE) if protocol.grid == "224" else image
    allowed = {"the grid's": grid} if protocol.grid == "224" else {}
    if protocol.maps != "as given" or protocol.grid == "original":
        allowed = {"the image's": image, **allowed}
    if shape not in allowed.values():
        known = " or ".join(f"{whose} {height}x{width}" for whose, (height, width) in allowed.items())
        raise DataError(f"{name}: expected {known} (height x width), but the map is {shape[0]}x{shape[1]}.")
    return grid
