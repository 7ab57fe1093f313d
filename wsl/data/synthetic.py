"""A drawn data set in VOC layout with exact masks, for `wsl demo` and for tests: no download, no real image.

Each image has a textured ground, clutter of no class (strokes and blobs in the objects' colours) and zero to
`max_objects` objects whose class shows in outline and surface pattern, not in colour. The same arguments give the same
bytes.

With `planted`, a class shows also in its ground: a cue beside the object, as railways are beside trains. A classifier
may then be right for the wrong reason, which is what an audit has to find out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from wsl.data.label_maps import write_label_map
from wsl.data.synthetic_objects import GROUNDS, KINDS, Colour, Plane, Rng, Texture, draw_colour, smooth_noise
from wsl.errors import ConfigError, suggest
from wsl.files import write_bytes
from wsl.types import Box, ClassSet, Image, LabelMap

DRAWN_CLASSES: tuple[str, ...] = tuple(KINDS)
EMPTY_SHARE = 0.06  # of the images show clutter only
OBJECT_SIDE = (0.28, 0.52)  # longest side of an object, as a share of the image's side
PLANTED_DARK, PLANTED_LIGHT = (0.1, 0.3), (0.75, 0.95)  # brightness of the two colours of a planted ground
LARGEST_OVERLAP = 0.12  # of an object's pixels may cover earlier ones
SMALLEST_CONTRAST = 80.0  # RGB distance of an object's mean colour to the ground around it
SHARPNESS = 4  # outlines are filled this many times larger, then averaged: soft edges, exact masks
TRIES = 40


@dataclass(frozen=True)
class DrawnImage:
    """An image, its exact label map, and one box (half-open) per object in drawing order."""

    image: Image
    label_map: LabelMap
    boxes: tuple[Box, ...]


def draw_dataset(
    root: Path,
    *,
    train: int,
    val: int,
    image_size: int = 128,
    classes: tuple[str, ...] = DRAWN_CLASSES,
    seed: int,
    max_objects: int = 3,
    planted: Mapping[str, str] | None = None,
) -> None:
    """Draws `train` + `val` square images of `image_size` pixels into `root`, in VOC layout.

    Files: JPEGImages/*.jpg, SegmentationClass/*.png, Annotations/*.xml, classes.txt and, last of all,
    ImageSets/{Main,Segmentation}/{train,val}.txt: a drawing that was interrupted has no splits, so it is never taken
    for a whole one. Image i of a split depends on (seed, split, i) alone. A drawing that is there already is replaced.

    planted: class name -> ground texture (one of `GROUNDS`) of every image with that class and of no other image;
    classes with different grounds are then never in one image.
    """
    _check_options(train, val, image_size, classes, max_objects)
    planted = dict(planted or {})
    _check_planted(planted, classes)
    lists = [root / "ImageSets" / kind / f"{split}.txt" for kind in ("Main", "Segmentation") for split in _SPLITS]
    for path in lists:
        path.unlink(missing_ok=True)
    names = {
        split: [f"{split}_{i:04d}" for i in range(count)] for split, count in zip(_SPLITS, (train, val), strict=True)
    }
    _remove_others(root, {name for split in _SPLITS for name in names[split]})
    write_bytes(root / "classes.txt", "".join(f"{name}\n" for name in classes).encode())
    for number, split in enumerate(_SPLITS):
        for i, name in enumerate(names[split]):
            rng = np.random.default_rng([seed, number, i])
            drawn = draw_image(rng, size=image_size, classes=classes, max_objects=max_objects, planted=planted)
            _write_drawn(root, name, drawn, classes)
    for path in lists:
        write_bytes(path, "".join(f"{name}\n" for name in names[path.stem]).encode())


def draw_image(
    rng: Rng, *, size: int, classes: tuple[str, ...], max_objects: int, planted: Mapping[str, str] | None = None
) -> DrawnImage:
    """One (size, size) image with 0 to `max_objects` objects; class_id i + 1 is `classes[i]`; see `draw_dataset`."""
    scene = _choose_scene(classes, planted or {}, rng)
    canvas = _draw_clutter(_draw_ground(size, scene, rng), rng)
    label_map = np.zeros((size, size), np.uint8)
    boxes: list[Box] = []
    empty_share = 0.0 if scene.planted else EMPTY_SHARE  # a planted ground is never without its class
    count = 0 if rng.uniform() < empty_share else int(rng.integers(1, max_objects + 1))
    for _ in range(count):
        class_id = scene.class_ids[int(rng.integers(len(scene.class_ids)))]
        alpha, u, v = _place(classes[class_id - 1], label_map, rng)
        mask = alpha >= 0.5
        if (label_map[mask] > 0).mean() > LARGEST_OVERLAP:
            continue  # no free place: one object fewer
        canvas = _paint(canvas, alpha, classes[class_id - 1], u, v, rng)
        label_map[mask] = class_id
        boxes.append(Box(_box_of(mask), class_id))
    grain = rng.normal(0, 5, canvas.shape).astype(np.float32)
    return DrawnImage(np.clip(np.rint(canvas + grain), 0, 255).astype(np.uint8), label_map, tuple(boxes))


_SPLITS = ("train", "val")


@dataclass(frozen=True)
class _Scene:
    """What an image may show: objects of these classes on one of these grounds, which are planted or free."""

    class_ids: tuple[int, ...]
    textures: tuple[Texture, ...]
    planted: bool = False


def _choose_scene(classes: tuple[str, ...], planted: Mapping[str, str], rng: Rng) -> _Scene:
    """A class is drawn, and with it all that share its planted ground; the others share the grounds left over."""
    if not planted:
        return _Scene(tuple(range(1, len(classes) + 1)), tuple(GROUNDS.values()))
    ground = planted.get(classes[int(rng.integers(len(classes)))])
    class_ids = tuple(i for i, name in enumerate(classes, start=1) if planted.get(name) == ground)
    if ground is not None:
        return _Scene(class_ids, (GROUNDS[ground],), planted=True)
    free = tuple(texture for name, texture in GROUNDS.items() if name not in planted.values())
    return _Scene(class_ids, free)


def _check_planted(planted: Mapping[str, str], classes: tuple[str, ...]) -> None:
    for name, ground in planted.items():
        if name not in classes:
            raise ConfigError(f"planted: '{name}' is not among the drawn classes.{suggest(name, classes)}")
        if ground not in GROUNDS:
            raise ConfigError(f"planted: no ground '{ground}' is known.{suggest(ground, GROUNDS)}")
    if set(planted.values()) == set(GROUNDS):
        raise ConfigError("planted: expected at least one ground to be left for the other images, but all are planted.")


def _check_options(train: int, val: int, image_size: int, classes: tuple[str, ...], max_objects: int) -> None:
    if train < 1 or val < 1 or max_objects < 1:
        raise ConfigError(f"Expected at least 1 for train, val and max_objects, but got {train}, {val}, {max_objects}.")
    if image_size < 32:
        raise ConfigError(f"image_size: expected at least 32 pixels (smaller objects have no shape), got {image_size}.")
    if not classes:
        raise ConfigError(f"classes: expected at least one of {', '.join(KINDS)}, but got none.")
    for name in classes:
        if name not in KINDS:
            raise ConfigError(f"No drawing is known for class '{name}'.{suggest(name, KINDS)}")
    ClassSet(classes)  # refuses doubles


def _remove_others(root: Path, wanted: set[str]) -> None:
    """Deletes the drawings of an earlier call that this one will not replace; touches no file of another name."""
    for folder in ("JPEGImages", "SegmentationClass", "Annotations"):
        for path in sorted((root / folder).glob("*")):
            if re.fullmatch(r"(train|val)_\d{4,}", path.stem) and path.stem not in wanted:
                path.unlink()


def _write_drawn(root: Path, name: str, drawn: DrawnImage, classes: tuple[str, ...]) -> None:
    stream = BytesIO()
    PillowImage.fromarray(drawn.image).save(stream, "JPEG", quality=95, subsampling=0)
    write_bytes(root / "JPEGImages" / f"{name}.jpg", stream.getvalue())
    write_label_map(root / "SegmentationClass" / f"{name}.png", drawn.label_map)
    write_bytes(root / "Annotations" / f"{name}.xml", _annotation(name, drawn, classes).encode())


def _annotation(name: str, drawn: DrawnImage, classes: tuple[str, ...]) -> str:
    """VOC XML; boxes are VOC's: 1-based, both ends included."""
    height, width = drawn.label_map.shape
    lines = ["<annotation>", f"  <filename>{name}.jpg</filename>"]
    lines.append(f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>")
    for box in drawn.boxes:
        x1, y1, x2, y2 = (int(value) for value in box.xyxy)
        lines.append(
            f"  <object><name>{escape(classes[box.class_id - 1])}</name><difficult>0</difficult>"
            f"<bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        )
    return "\n".join([*lines, "</annotation>", ""])


def _box_of(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _draw_ground(size: int, scene: _Scene, rng: Rng) -> Plane:
    """(size, size, 3): two colours mixed by one of the textures; a planted one is light on dark, to be seen at once."""
    texture = scene.textures[int(rng.integers(len(scene.textures)))](size, rng)[..., None]
    value = rng.uniform(0.25, 0.8)
    near = (max(value - 0.22, 0.1), min(value + 0.22, 1.0))
    dark, light = (PLANTED_DARK, PLANTED_LIGHT) if scene.planted else (near, near)
    first = draw_colour(rng, hue=None, saturation=(0.15, 0.7), value=dark)
    second = draw_colour(rng, hue=None, saturation=(0.15, 0.7), value=light)
    return (first * texture + second * (1 - texture)).astype(np.float32)


def _draw_clutter(canvas: Plane, rng: Rng) -> Plane:
    """Strokes and blobs of no class, in the colours that the objects have."""
    size = len(canvas)
    hues = [kind.hue for kind in KINDS.values()]
    for _ in range(int(rng.integers(2, 6))):
        colour = draw_colour(rng, hue=float(rng.choice(hues)), saturation=(0.3, 0.9), value=(0.3, 0.95))
        start, way = rng.uniform(0, size, 2), rng.normal(0, size / 7, (4, 2))
        points = np.rint(start + np.cumsum(way, 0)).astype(np.int32)
        thickness = int(rng.integers(1, max(2, size // 36) + 1))
        canvas = cv2.polylines(canvas, [points], False, colour.tolist(), thickness, cv2.LINE_AA)
    for _ in range(int(rng.integers(1, 4))):
        colour = draw_colour(rng, hue=float(rng.choice(hues)), saturation=(0.3, 0.9), value=(0.3, 0.95))
        alpha = _blob(size, rng)[..., None]
        shade = 0.75 + 0.5 * smooth_noise(size, 12, rng)[..., None]
        canvas = canvas * (1 - alpha) + alpha * shade * colour
    return canvas.astype(np.float32)


def _blob(size: int, rng: Rng) -> Plane:
    """(size, size) soft-edged patch of an irregular outline."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    wobble = sum(rng.uniform(0, 0.25) * np.sin(k * angle + rng.uniform(0, 6.28)) for k in (2, 3))
    radius = size * rng.uniform(0.05, 0.12) * (1 + wobble)
    points = rng.uniform(0, size, 2) + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return _fill(points, size)


def _fill(points: NDArray[np.floating], size: int) -> Plane:
    """(size, size) share of each pixel that the polygon covers, in [0, 1]."""
    large = np.zeros((size * SHARPNESS, size * SHARPNESS), np.uint8)
    cv2.fillPoly(large, [np.rint(points * SHARPNESS).astype(np.int32)], 255)
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _place(name: str, taken: LabelMap, rng: Rng) -> tuple[Plane, Plane, Plane]:
    """Cover (H, W) in [0, 1] of a new object wholly inside the image, and its own axes u, v at each pixel.

    The first of `TRIES` places with little overlap is taken; the caller sees from the cover when none was free.
    """
    size = len(taken)
    y, x = np.mgrid[:size, :size].astype(np.float32) + 0.5
    outline = KINDS[name].outline(rng)
    for _ in range(TRIES):
        radius, angle = size * rng.uniform(*OBJECT_SIDE) / 2, rng.uniform(0, 2 * np.pi)
        cx, cy = rng.uniform(radius + 1, size - radius - 1, 2)
        cos, sin = radius * np.cos(angle), radius * np.sin(angle)
        points = outline @ np.array([[cos, sin], [-sin, cos]]) + (cx, cy)
        alpha = _fill(points, size)
        if (taken[alpha >= 0.5] > 0).mean() <= LARGEST_OVERLAP:
            break
    u = ((x - cx) * cos + (y - cy) * sin) / radius**2
    v = ((y - cy) * cos - (x - cx) * sin) / radius**2
    return alpha, u.astype(np.float32), v.astype(np.float32)


def _paint(canvas: Plane, alpha: Plane, name: str, u: Plane, v: Plane, rng: Rng) -> Plane:
    """The object over the canvas: its pattern in two tones of a colour that differs from the ground around it."""
    colour = _find_colour(canvas, alpha, KINDS[name].hue, rng)
    tone = np.float32(KINDS[name].tone * rng.uniform(0.85, 1.15))
    pattern = KINDS[name].pattern(u, v, rng)[..., None]
    shade = (1 - 0.18 * (u + v))[..., None] * (0.9 + 0.2 * smooth_noise(len(canvas), 10, rng)[..., None])
    surface = np.clip(shade * colour * (1 + (tone - 1) * pattern), 0, 255)
    return (canvas * (1 - alpha[..., None]) + alpha[..., None] * surface).astype(np.float32)


def _find_colour(canvas: Plane, alpha: Plane, hue: float, rng: Rng) -> Colour:
    """A colour of about that hue; the first of eight that stands out from the ground, else the one that does most."""
    ground = canvas[alpha >= 0.5].mean(0)
    best, most = ground, -1.0
    for _ in range(8):
        colour = draw_colour(rng, hue=hue, saturation=(0.45, 0.95), value=(0.35, 0.9))
        contrast = float(np.linalg.norm(colour - ground))
        if contrast > most:
            best, most = colour, contrast
        if contrast >= SMALLEST_CONTRAST:
            break
    return best
