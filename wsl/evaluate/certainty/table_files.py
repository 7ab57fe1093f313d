"""Per-image tables on disk: `per_image/<score>.npz`, no pickle, written whole or not at all.

Each file holds the arrays of its table, the texts `name`, `kind`, `settings` and `image_ids` (the last two as JSON) and
`format` = 1.
"""

from __future__ import annotations

import json
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wsl.errors import ConfigError, DataError, WslError
from wsl.evaluate.certainty.box_curve_table import BoxCurveTable
from wsl.evaluate.certainty.detection_table import DetectionTable
from wsl.evaluate.certainty.histogram_table import HistogramTable
from wsl.evaluate.certainty.pair_table import PairTable
from wsl.evaluate.certainty.ratio_table import RatioTable
from wsl.evaluate.certainty.segmentation_table import SegmentationTable
from wsl.evaluate.certainty.sweep_table import SweepTable
from wsl.evaluate.certainty.tables import Arrays, ImageTable, StoredTable
from wsl.evaluate.certainty.value_table import ValueTable
from wsl.files import atomic_file

FOLDER = "per_image"
SUFFIX = ".npz"
FORMAT = 1
TABLES: dict[str, type[StoredTable]] = {
    table.kind: table
    for table in (
        SegmentationTable, SweepTable, BoxCurveTable, PairTable, ValueTable, HistogramTable, DetectionTable,
        RatioTable,
    )
}  # fmt: skip
_HEAD = ("format", "name", "kind", "settings", "image_ids")
# What zipfile and numpy raise for damaged or foreign archives.
_READ_ERRORS = (
    OSError, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, MemoryError, zipfile.BadZipFile,
    zlib.error, struct.error,
)  # fmt: skip


def write_tables(folder: Path, tables: Mapping[str, ImageTable]) -> list[Path]:
    """Writes score name -> table into `folder`/per_image and gives the paths. Tables of other scores are deleted: they
    are of an earlier evaluation, and would be compared as if they belonged to this one.

    The same tables give the same bytes. ConfigError when two names differ in nothing that a file name can show.
    """
    paths = {name: folder / FOLDER / f"{make_slug(name)}{SUFFIX}" for name in tables}
    if len(set(paths.values())) != len(paths):
        raise ConfigError(f"Score names must differ in letters, digits, '.', '+' or '@', but got {sorted(paths)}.")
    for stale in set((folder / FOLDER).glob(f"*{SUFFIX}")) - set(paths.values()):
        stale.unlink()
    for name, table in tables.items():
        _write_table(paths[name], name, table)
    return list(paths.values())


def read_tables(folder: Path) -> dict[str, ImageTable]:
    """Score name -> table of all files in `folder`/per_image, in the order of their file names.

    DataError naming the file when one is damaged, foreign or of another format, and when there is none.
    """
    paths = sorted((folder / FOLDER).glob(f"*{SUFFIX}"))
    if not paths:
        raise DataError(f"{folder / FOLDER}: no per-image tables (*{SUFFIX}); evaluate the run again.")
    return dict(_read_table(path) for path in paths)


def make_slug(name: str) -> str:
    """A file name of a score name: small letters, what is no letter, digit, '.', '+' or '@' becomes '_'."""
    return re.sub(r"[^a-z0-9.+@]+", "_", name.lower()).strip("_.") or "score"


def _write_table(path: Path, name: str, table: ImageTable) -> None:
    head = {
        "format": np.int64(FORMAT),
        "name": np.array(json.dumps(name)),
        "kind": np.array(table.kind),
        "settings": np.array(json.dumps(table.settings(), sort_keys=True)),
        "image_ids": np.array(json.dumps(table.image_ids)),
    }
    with atomic_file(path) as stream:
        np.savez_compressed(stream, **head, **table.arrays())  # type: ignore[arg-type]


def _read_table(path: Path) -> tuple[str, ImageTable]:
    arrays = _read_arrays(path)
    lacking = sorted(set(_HEAD) - arrays.keys())
    if lacking:
        raise DataError(f"{path}: expected a per-image table, but it lacks {lacking}.")
    if arrays["format"].tolist() != FORMAT:
        raise DataError(f"{path}: expected table format {FORMAT}, but got {arrays['format']}; evaluate the run again.")
    kind = str(arrays["kind"])
    if kind not in TABLES:
        raise DataError(f"{path}: expected a table of {', '.join(TABLES)}, but got '{kind}'.")
    try:
        return _make_table(TABLES[kind], arrays)
    except (WslError, *_READ_ERRORS, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: not a table of {kind} as this version writes it: {error}") from None


def _make_table(table: type[StoredTable], arrays: Arrays) -> tuple[str, Any]:
    name, settings, image_ids = (json.loads(str(arrays[key])) for key in ("name", "settings", "image_ids"))
    if not isinstance(name, str) or not all(isinstance(image_id, str) for image_id in image_ids):
        raise DataError("expected texts as name and image ids.")
    columns = {key: array for key, array in arrays.items() if key not in _HEAD}
    return name, table.from_arrays(tuple(image_ids), columns, settings)


def _read_arrays(path: Path) -> Arrays:
    try:
        with open(path, "rb") as stream, np.lib.npyio.NpzFile(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except _READ_ERRORS as error:
        raise DataError(f"{path}: expected an .npz of arrays without pickle, but {error}.") from None
    strangers = sorted(name for name, array in arrays.items() if not isinstance(array, np.ndarray))
    if strangers:
        raise DataError(f"{path}: expected an .npz of arrays, but {strangers} are none.")
    return arrays
