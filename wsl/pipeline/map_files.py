"""Score map files of any origin, as the evaluation reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wsl.cam.pyramid import MapPyramid
from wsl.cam.store import read_everything
from wsl.evaluate.files.score_map_files import MapFile, read_map_file


def read_any_map(path: Path, with_views: bool = False) -> MapFile:
    """Our own map files with the classifier's ranking and, if wanted, the maps of single scales; foreign ones too."""
    if path.suffix.lower() == ".npy":
        return read_map_file(path)
    maps, pyramid, views = read_everything(path, path.stem, with_views)
    return MapFile(maps.scores, maps.class_ids, rank_classes(pyramid), views)


def rank_classes(pyramid: MapPyramid | None) -> tuple[int, ...] | None:
    """Ids of all classes that the classifier knows, the most probable first, the lower id on equal probabilities."""
    if pyramid is None or not len(pyramid.probabilities):
        return None
    order = np.argsort(-pyramid.probabilities, kind="stable")
    return tuple(int(pyramid.known_ids[place]) for place in order)
