"""Which score map files belong to which image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from wsl.evaluate.files.map_png import find_map_files
from wsl.evaluate.files.score_map_files import SCORE_MAP_SUFFIXES
from wsl.evaluate.files.sources import check_pairing, list_files_by_id, pair_files
from wsl.types import ClassSet

Prediction = Path | Mapping[int, Path] | None  # one file, grey PNGs by class id, or no prediction
Pairs = list[tuple[str, Prediction]]


def pair_maps(folder: Path, image_ids: Sequence[str], classes: ClassSet, missing: str) -> tuple[Pairs, dict[str, int]]:
    """(image id, its files) of every image that is scored, and what is missing and too many.

    `.npz` and `.npy` files come first; a folder without any holds grey PNGs (with one class, `<image_id>.png`).
    `missing` as in `pair_files`.
    """
    if list_files_by_id(folder, SCORE_MAP_SUFFIXES):
        pairing = pair_files(folder, image_ids, SCORE_MAP_SUFFIXES, missing)
        return list(pairing.pairs), pairing.counts
    found = find_map_files(folder, image_ids, classes, classes.names[0] if len(classes) == 1 else None)
    check_pairing(folder, found.missing, image_ids, tuple(found.files), missing)
    kept = [image_id for image_id in sorted(image_ids) if image_id in found.files or missing == "background"]
    counts = {
        "images without prediction": len(found.missing),
        "predictions without ground truth": len(found.extra),
    }
    return [(image_id, found.files.get(image_id)) for image_id in kept], counts
