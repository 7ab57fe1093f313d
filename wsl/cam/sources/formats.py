"""All formats by name, and how one is guessed from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wsl.cam.sources import clip_es, irn, npy, npz, png, psa, psa_crf, puzzle_cam
from wsl.cam.sources.map_format import MapFormat
from wsl.cam.sources.npy_header import holds_objects
from wsl.cam.sources.safe_pickle import read_pickled_dict
from wsl.errors import ConfigError, suggest

FORMATS: dict[str, MapFormat] = {
    "npz": npz.FORMAT,
    "npy": npy.FORMAT,
    "png": png.FORMAT,
    "irn": irn.FORMAT,
    "psa": psa.FORMAT,
    "psa_crf": psa_crf.FORMAT,
    "puzzle_cam": puzzle_cam.FORMAT,
    "clip_es": clip_es.FORMAT,
}
AUTO = "auto"
CONTAINERS = ("npz", "npy", "png")  # one for each suffix
_TELLING_KEYS = {"irn": "high_res", "puzzle_cam": "hr_cam", "clip_es": "attn_highres"}


def get_format(name: str) -> MapFormat:
    """The format of that name; ConfigError with the nearest name otherwise."""
    if name not in FORMATS:
        raise ConfigError(f"cam.source_format: unknown format '{name}'.{suggest(name, FORMATS)}")
    return FORMATS[name]


def list_formats() -> list[str]:
    """Names of all formats."""
    return list(FORMATS)


def guess_format(path: Path) -> tuple[str, str]:
    """Name of the format that a map file is in, and what shows it.

    Raises ConfigError when the content fits no format, DataError when it cannot be read.
    """
    if path.suffix != ".npy":
        return path.suffix[1:], f"{path.name} is a {path.suffix} file"
    if not holds_objects(path):
        return "npy", f"{path.name} is an array"
    content = read_pickled_dict(path)
    for name, key in _TELLING_KEYS.items():
        if {"keys", key} <= content.keys():
            return name, f"{path.name} is a dictionary with 'keys' and '{key}'"
    if content and all(isinstance(key, int) for key in content):
        if _is_distribution(content):
            return "psa_crf", f"{path.name} is a dictionary by class whose maps, with that of key 0, add up to 1"
        return "psa", f"{path.name} is a dictionary by class"
    raise ConfigError(
        f"{path}: expected the keys of one of the formats {', '.join(FORMATS)}, but got {sorted(map(str, content))}; "
        "set cam.source_format, or write the maps as .npz."
    )


def _is_distribution(content: dict[Any, Any]) -> bool:
    """Whether there is a background and all maps add up to 1 everywhere, as after a dense CRF."""
    maps = [np.asarray(each) for each in content.values()]
    same = all(each.shape == maps[0].shape and each.dtype.kind == "f" for each in maps)
    return 0 in content and len(maps) > 1 and same and bool(np.allclose(np.sum(maps, axis=0), 1, atol=0.01))
