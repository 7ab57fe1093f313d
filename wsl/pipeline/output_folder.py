"""A folder that a user names for results: not a file, and not where a run keeps what its stages made."""

from __future__ import annotations

import os
from pathlib import Path

from wsl.errors import ConfigError
from wsl.pipeline.stages import STAGES

MANIFEST = "manifest.json"


def check_output_folder(folder: str) -> Path:
    """The folder as a path; it need not exist.

    ConfigError for an empty name, a file, a place below a file, and a stage folder of a run or a place below one: a
    stage reads every file there as its own, and deletes them all when it starts anew.
    """
    if not folder.strip():
        raise ConfigError("output: expected the name of a folder, but got an empty one.")
    path = Path(os.path.abspath(folder))
    nearest = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not os.path.isdir(nearest):
        raise ConfigError(f"output: expected a folder, but {nearest} is a file; choose another.")
    if not os.access(nearest, os.W_OK):
        raise ConfigError(f"output: {nearest} cannot be written to; choose another folder.")
    stages = {stage.folder for stage in STAGES.values()}
    for place in (path, *path.parents):
        if place.name in stages and (place.parent / MANIFEST).is_file():
            raise ConfigError(f"output: {place} belongs to the stages of a run; choose another folder.")
    return Path(folder)
