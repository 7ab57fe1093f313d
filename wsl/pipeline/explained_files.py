"""The files of explained images: names that do not collide, heat maps, overlays, figures and score maps."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from wsl.cam.preset import Preset
from wsl.cam.pyramid import MapPyramid, fuse
from wsl.cam.store import write_pyramid
from wsl.report.figure import FIGURE_SIDE, FigureRow, draw_figure
from wsl.report.heat import Map, draw_heat, draw_heat_overlay
from wsl.report.overlay import resize_for_display, write_png
from wsl.types import MAX_CLASSES, Image

LONGEST_NAME = 60  # bytes: three names (image, class, map) and the suffix must fit in the 255 of a file system


def name_images(paths: Sequence[Path]) -> list[str]:
    """A file name for the results of each image: its stem, or as much more of its path as makes it unique.

    Two images of one name in two folders are told apart by folders, two in one folder by their suffix. Letter case does
    not make a difference, because some file systems do not keep it.
    """
    names = [_longer_name(path, 0) for path in paths]
    for level in range(1, 3 + max((len(path.parts) for path in paths), default=0)):
        doubles = _find_doubles(names)
        names = [_longer_name(path, level) if n.lower() in doubles else n for path, n in zip(paths, names, strict=True)]
    doubles = _find_doubles(names)
    return [f"{name}-{index}" if name.lower() in doubles else name for index, name in enumerate(names, start=1)]


def _longer_name(path: Path, level: int) -> str:
    """Level 0 is the stem, 1 adds the suffix, each further one a folder. Never longer than a file name may be."""
    if level == 0:
        return path.stem if len(path.stem.encode()) <= LONGEST_NAME else make_file_name(path.stem)
    parts = Path(os.path.abspath(path)).parts[-level:]
    return make_file_name("-".join(part for part in parts if part.strip("/\\")))


def _find_doubles(names: Iterable[str]) -> set[str]:
    plain = [name.lower() for name in names]
    return {name for name in plain if plain.count(name) > 1}


def make_file_name(text: str) -> str:
    """`text` with only letters, digits, '_' and '-': blanks become '_', everything else '-'; at most 60 bytes."""
    plain = re.sub(r"[^\w-]", "-", text.strip().replace(" ", "_"))
    return plain.encode()[:LONGEST_NAME].decode(errors="ignore") or "-"


def name_classes(names: Sequence[str]) -> list[str]:
    """A file name for each class: its own, with the output's number where two would be alike."""
    plain = [make_file_name(name) for name in names]
    doubles = _find_doubles(plain)
    return [f"{name}-{index}" if name.lower() in doubles else name for index, name in enumerate(plain)]


@dataclass
class ClassNumbers:
    """Class ids 1..254 in map files.

    Up to 254 classes keep their own, output + 1. Of more, each gets the next number when it first occurs,
    none after 254.
    """

    names: tuple[str, ...]
    background: int | None = None
    outputs: list[int] = field(default_factory=list)  # outputs[i] has class id i + 1

    def __post_init__(self) -> None:
        if len(self.names) <= MAX_CLASSES:
            self.outputs = [output for output in range(len(self.names)) if output != self.background]

    def number(self, output: int) -> int | None:
        """The class id of an output; None for "no object", and when all numbers are taken."""
        if output not in self.outputs:
            if output == self.background or len(self.outputs) >= MAX_CLASSES:
                return None
            self.outputs.append(output)
        return self.outputs.index(output) + 1

    def list_names(self) -> list[str]:
        """Names by class id, with the output's number where a name occurs twice."""
        names = [self.names[output] for output in self.outputs]
        pairs = zip(self.outputs, names, strict=True)
        return [f"{name} {output}" if names.count(name) > 1 else name for output, name in pairs]


@dataclass(frozen=True)
class Column:
    """The maps of one method and layer: `tag` names its files; `title`, and `notes` per class, stand in the figure.

    pyramid: raw maps (K, h, w) of the K explained classes. preset: how they become scores.
    """

    tag: str
    title: str
    pyramid: MapPyramid
    preset: Preset
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Drawing:
    """How maps are drawn: colour map and its share of the overlay in [0, 1]; whether there is a figure."""

    colour: str = "turbo"
    alpha: float = 0.5
    figure: bool = False


def write_pictures(
    folder: Path,
    name: str,
    image: Image,
    columns: Sequence[Column],
    rows: Sequence[tuple[str, str]],
    drawing: Drawing,
) -> list[str]:
    """Heat map and overlay of every class and column in the image's own pixels, and the figure; returns file names.

    rows: (file name, title) of each class. One full-size map is in memory at a time.
    """
    written, figure_rows = [], []
    small = resize_for_display(image, FIGURE_SIDE)
    for index, (tag, title) in enumerate(rows):
        shrunk: list[Map] = []
        for column in columns:
            score_map = fuse(_pick(column.pyramid, [index]), column.preset).scores[0]
            stem = f"{name}.{tag}.{column.tag}"
            write_png(folder / f"{stem}.heat.png", draw_heat(score_map, drawing.colour))
            overlay = draw_heat_overlay(image, score_map, drawing.colour, drawing.alpha)
            write_png(folder / f"{stem}.overlay.png", overlay)
            written += [f"{stem}.heat.png", f"{stem}.overlay.png"]
            shrunk.append(_shrink(score_map, small))
        figure_rows.append(FigureRow(title, shrunk, [column.notes[index] for column in columns]))
    if drawing.figure:
        titles = [column.title for column in columns]
        write_png(folder / f"{name}.figure.png", draw_figure(small, titles, figure_rows, drawing.colour, drawing.alpha))
        written.append(f"{name}.figure.png")
    return written


def write_maps(
    folder: Path,
    name: str,
    columns: Sequence[Column],
    outputs: Sequence[int],
    number: Callable[[int], int | None],
) -> list[str]:
    """Score maps maps/<column>/<name>.npz with the class ids that `number` gives; returns file names."""
    numbers = [number(output) for output in outputs]
    kept = [index for index, each in enumerate(numbers) if each is not None]
    ids = tuple(each for each in numbers if each is not None)
    written = []
    for column in columns if kept else ():
        pyramid = _pick(column.pyramid, kept)
        path = f"maps/{column.tag}/{name}.npz"
        write_pyramid(folder / path, replace(pyramid, class_ids=ids, known_ids=ids), column.preset)
        written.append(path)
    return written


def _pick(pyramid: MapPyramid, kept: Sequence[int]) -> MapPyramid:
    return replace(
        pyramid,
        levels=tuple(level[list(kept)] for level in pyramid.levels),
        class_ids=tuple(pyramid.class_ids[index] for index in kept),
        known_ids=tuple(pyramid.known_ids[index] for index in kept),
        probabilities=pyramid.probabilities[list(kept)],
    )


def _shrink(score_map: Map, shown: Image) -> Map:
    flag = cv2.INTER_AREA if shown.shape[0] < score_map.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(score_map, shown.shape[1::-1], interpolation=flag), np.float32)
