"""Outlines, surface patterns and ground textures of the drawn data set.

Every class has an outline and a surface pattern of its own, while its colour is drawn from a wide range that overlaps
with the other classes', the ground's and the clutter's: colour alone decides nothing.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]  # (H, W), mostly in [0, 1]
Colour = NDArray[np.float32]  # (3,) RGB in [0, 255]
Rng = np.random.Generator


@dataclass(frozen=True)
class ObjectKind:
    """One class: its outline in a unit disc, its pattern over (u, v) in [-1, 1], and what its colours usually are.

    hue in [0, 1); tone: brightness of the pattern relative to the rest, below 1 dark on light, above 1 light on dark.
    """

    outline: Callable[[Rng], Plane]
    pattern: Callable[[Plane, Plane, Rng], Plane]
    hue: float
    tone: float


def smooth_step(values: Plane, width: float) -> Plane:
    """0 below -width, 1 above +width, a straight ramp between: a pattern's edge without stair steps."""
    return np.clip(values / (2 * width) + 0.5, 0, 1).astype(np.float32)


def disc_outline(rng: Rng) -> Plane:
    """(64, 2) points of a slightly flattened disc."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return np.stack([np.cos(angle), rng.uniform(0.82, 1.0) * np.sin(angle)], 1).astype(np.float32)


def leaf_outline(rng: Rng) -> Plane:
    """(80, 2) points of a lens with two pointed ends on the u axis."""
    along = np.linspace(-1, 1, 40)
    width = rng.uniform(0.48, 0.6) * (1 - along**2) ** rng.uniform(0.8, 1.0)
    points = np.concatenate([np.stack([along, width], 1), np.stack([along[::-1], -width[::-1]], 1)])
    return points.astype(np.float32)


def fish_outline(rng: Rng) -> Plane:
    """Points of a body that narrows into a forked tail at u = -1."""
    along = np.linspace(-0.45, 1, 40)
    width = rng.uniform(0.46, 0.56) * np.sqrt(np.clip(1 - ((along - 0.2) / 0.8) ** 2, 0, 1))
    width = np.maximum(width, np.where(along < 0, 0.13, 0))
    tail = rng.uniform(0.45, 0.55)
    upper, lower = np.stack([along, width], 1), np.stack([along[::-1], -width[::-1]], 1)
    fork = np.array([[-0.95, -tail], [-0.78, 0.0], [-0.95, tail]])
    return np.concatenate([upper, lower, fork]).astype(np.float32)


def starfish_outline(rng: Rng) -> Plane:
    """(100, 2) points of a star of five rounded arms."""
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    deep = rng.uniform(0.26, 0.32)
    radius = (1 - deep) + deep * np.cos(5 * angle) - 0.06 * np.cos(10 * angle)
    radius = radius / radius.max()
    return (radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)).astype(np.float32)


def kite_outline(rng: Rng) -> Plane:
    """(4, 2) corners of a kite."""
    shoulder, half = rng.uniform(0.15, 0.35), rng.uniform(0.62, 0.78)
    return np.array([[1, 0], [shoulder, half], [-1, 0], [shoulder, -half]], np.float32)


def dot_pattern(u: Plane, v: Plane, rng: Rng) -> Plane:
    """Round dots on a staggered grid."""
    pitch = rng.uniform(0.62, 0.74)
    row = np.round(v / pitch)
    along = u / pitch - 0.5 * (row % 2)
    distance = np.hypot(along - np.round(along), v / pitch - row)
    return smooth_step(rng.uniform(0.26, 0.32) - distance, 0.1)


def vein_pattern(u: Plane, v: Plane, rng: Rng) -> Plane:
    """A midrib along u with side veins that slant away from it on both sides."""
    veins = np.sin((u - np.abs(v)) * rng.uniform(9, 11))
    return np.maximum(smooth_step(veins - 0.55, 0.3), smooth_step(0.07 - np.abs(v), 0.05))


def band_pattern(u: Plane, v: Plane, rng: Rng) -> Plane:
    """Broad bands across u, bent like scales."""
    return smooth_step(np.sin((u + 0.35 * v * v) * rng.uniform(7, 9) + rng.uniform(0, 6.28)), 0.4)


def ring_pattern(u: Plane, v: Plane, rng: Rng) -> Plane:
    """Rings around the middle."""
    return smooth_step(np.sin(np.hypot(u, v) * rng.uniform(10, 12) + rng.uniform(0, 6.28)), 0.5)


def check_pattern(u: Plane, v: Plane, rng: Rng) -> Plane:
    """A board of checks."""
    pitch = rng.uniform(5.5, 7.0)
    return smooth_step(np.sin(u * pitch) * np.sin(v * pitch), 0.12)


KINDS: dict[str, ObjectKind] = {
    "ladybird": ObjectKind(disc_outline, dot_pattern, 0.00, 0.2),
    "leaf": ObjectKind(leaf_outline, vein_pattern, 0.34, 1.6),
    "fish": ObjectKind(fish_outline, band_pattern, 0.55, 1.7),
    "starfish": ObjectKind(starfish_outline, ring_pattern, 0.14, 0.4),
    "kite": ObjectKind(kite_outline, check_pattern, 0.80, 0.35),
}


def draw_colour(rng: Rng, *, hue: float | None, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
    """A colour of that hue give or take 0.05 (any hue for None, and for one draw in ten)."""
    near = rng.normal(hue or 0.0, 0.05)
    anywhere = rng.uniform(0, 1)
    stray = rng.uniform(0, 1) < 0.1
    chosen = anywhere if hue is None or stray else near
    rgb = colorsys.hsv_to_rgb(float(chosen % 1), float(rng.uniform(*saturation)), float(rng.uniform(*value)))
    return np.array(rgb, np.float32) * 255


def smooth_noise(size: int, cells: int, rng: Rng) -> Plane:
    """(size, size) noise in [0, 1] whose blobs are about size / cells pixels wide."""
    coarse = rng.uniform(0, 1, (cells + 2, cells + 2)).astype(np.float32)
    noise = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    low, high = float(noise.min()), float(noise.max())
    return (noise - low) / max(high - low, 1e-6)


def cloud_texture(size: int, rng: Rng) -> Plane:
    """Noise of three scales."""
    planes = [smooth_noise(size, cells, rng) / weight for cells, weight in ((4, 1), (10, 2), (26, 3))]
    return (np.sum(planes, axis=0) / (1 + 1 / 2 + 1 / 3)).astype(np.float32)


def stripe_texture(size: int, rng: Rng) -> Plane:
    """Wavy stripes in any direction."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    angle, wave = rng.uniform(0, np.pi), smooth_noise(size, 3, rng)
    across = x * np.cos(angle) + y * np.sin(angle) + 0.12 * wave
    return (0.5 + 0.5 * np.sin(across * rng.uniform(25, 70))).astype(np.float32)


def gradient_texture(size: int, rng: Rng) -> Plane:
    """Light that falls off from one point, with faint clouds."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    distance = np.hypot(x - rng.uniform(-0.3, 1.3), y - rng.uniform(-0.3, 1.3))
    return (0.75 * distance / distance.max() + 0.25 * smooth_noise(size, 8, rng)).astype(np.float32)


def blotch_texture(size: int, rng: Rng) -> Plane:
    """Patches with soft edges, such as gravel or lichen."""
    return smooth_step(smooth_noise(size, int(rng.integers(7, 18)), rng) - 0.5, 0.1)


Texture = Callable[[int, Rng], Plane]
GROUNDS: dict[str, Texture] = {
    "cloud": cloud_texture,
    "stripe": stripe_texture,
    "gradient": gradient_texture,
    "blotch": blotch_texture,
}
