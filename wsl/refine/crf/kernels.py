"""Pairwise terms of a dense CRF: how wide, in pixels and in colour, and what each pair of labels costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import ConfigError, DataError

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Kernel:
    """exp(-|p - p'|^2 / 2 sxy^2 - |f - f'|^2 / 2 schan^2) between two pixels at p, p' with features f, f'.

    sxy: standard deviation in pixels, or (x, y). schan: in units of the features, one for all channels or one for
    each; None = positions only (the Gaussian kernel; the bilateral one has both).
    compat: what labels cost, as pydensecrf takes it. A number w: Potts, pixels of different labels cost w. A vector
    (L,): pixels of the same label l cost compat[l] (so attraction is negative, other pairs are free). A matrix (L, L):
    pixels of labels l, m cost compat[l, m]; only its symmetric part (compat + compat.T) / 2 counts, for a pair has no
    order. 0 (or all 0) leaves the kernel out.
    Raises ConfigError for widths that are not above 0 and for compat that is not finite or has another shape.
    """

    sxy: float | Sequence[float]
    compat: ArrayLike = 1.0
    schan: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sxy", _check_widths("sxy", self.sxy, 2))
        if self.schan is not None:
            object.__setattr__(self, "schan", _check_widths("schan", self.schan, None))
        compat = np.array(self.compat, np.float32)
        square = compat.ndim < 2 or (compat.ndim == 2 and compat.shape[0] == compat.shape[1])
        if not (square and compat.size and np.isfinite(compat).all()):
            raise ConfigError(
                f"compat: expected a finite number, (L,) or (L, L), but got {compat.shape} {np.ravel(compat)[:4]}."
            )
        object.__setattr__(self, "compat", compat)

    @property
    def is_idle(self) -> bool:
        """Whether nothing costs anything, so that the kernel can be left out."""
        return not np.any(self.compat)

    @property
    def is_potts(self) -> bool:
        """Whether one number says it all."""
        return np.ndim(self.compat) == 0

    def compute_gain(self, labels: int) -> Floats:
        """float32 (L, L), symmetric: what one neighbour's probability of label m adds to the logit of label l.

        A constant in a column moves all logits alike, so Potts is the diagonal. DataError for another number of labels.
        """
        compat = np.asarray(self.compat, np.float32)
        if compat.ndim and len(compat) != labels:
            raise DataError(f"compat: expected {labels} labels as in the unary, but got {compat.shape}.")
        if compat.ndim == 0:
            return compat * np.eye(labels, dtype=np.float32)
        return -np.diag(compat) if compat.ndim == 1 else -(compat + compat.T) / 2


def compute_positions(size: tuple[int, int], sxy: tuple[float, float]) -> Floats:
    """float32 (2, H * W): x and y of each pixel, in rows, over their widths."""
    height, width = size
    across = np.arange(width, dtype=np.float32) / np.float32(sxy[0])
    down = np.arange(height, dtype=np.float32) / np.float32(sxy[1])
    return np.stack([np.tile(across, height), np.repeat(down, width)])


def compute_kernel_features(kernel: Kernel, size: tuple[int, int], bands: NDArray[Any] | None) -> Floats:
    """float32 (2 or 2 + C, H * W), in which the kernel is a unit Gaussian. bands: real (H, W, C), or None.

    Raises ConfigError when `schan` does not fit the bands.
    """
    sxy: Any = kernel.sxy
    positions = compute_positions(size, sxy)
    if kernel.schan is None:
        return positions
    if bands is None:
        raise ConfigError("features: expected (H, W) or (H, W, C) for a kernel with schan, but got None.")
    widths: Any = kernel.schan
    channels = bands.shape[2]
    if len(widths) not in (1, channels):
        raise ConfigError(f"schan: expected 1 or {channels} widths, as the features have channels, got {len(widths)}.")
    features = np.empty((2 + channels, positions.shape[1]), np.float32)
    features[:2] = positions
    for channel, width in enumerate(widths * channels if len(widths) == 1 else widths):
        features[2 + channel] = bands[..., channel].reshape(-1).astype(np.float32) / np.float32(width)
    return features


def _check_widths(name: str, value: float | Sequence[float], count: int | None) -> tuple[float, ...]:
    """Widths as a tuple: one number counts for both of `count`; each must be finite and above 0."""
    try:
        widths = tuple(float(width) for width in np.atleast_1d(np.asarray(value, np.float64)).tolist())
    except (TypeError, ValueError):
        widths = ()
    good = len(widths) > 0 and all(np.isfinite(width) and width > 0 for width in widths)
    if not good or (count is not None and len(widths) not in (1, count)):
        wanted = f"a number or {count} numbers" if count else "numbers"
        raise ConfigError(f"{name}: expected {wanted} above 0, but got {value}.")
    return widths * count if count and len(widths) == 1 else widths
