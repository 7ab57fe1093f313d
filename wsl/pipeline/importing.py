"""The cams stage with `cam.source`: maps made elsewhere instead of a classifier and a CAM method."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsl.cam.preset import Preset, get_preset
from wsl.cam.sources.folder import MapFolder, hash_map_files, open_map_folder, read_maps
from wsl.cam.store import write_pyramid
from wsl.config import CamConfig
from wsl.errors import ConfigError
from wsl.pipeline.images import do_images, missing
from wsl.pipeline.run_folder import Failure
from wsl.pipeline.work import StageFiles
from wsl.progress import Progress
from wsl.types import ClassSet, Sample

log = logging.getLogger("wsl")


@dataclass(frozen=True)
class ImportWork:
    """The map files of one image -> cams/<image id>.npz."""

    files: StageFiles
    folder: MapFolder
    preset: Preset

    def __call__(self, sample: Sample) -> None:
        stored = read_maps(self.folder, sample, self.preset)
        write_pyramid(self.files.maps(sample.image_id), stored.pyramid, stored.preset)


def open_source(cam: CamConfig, run: Path, samples: Sequence[Sample], classes: ClassSet) -> MapFolder:
    """The folder `cam.source`, its format known; errors as in `open_map_folder`.

    Raises ConfigError when the maps lie inside the run folder, whose stages delete what is out of date.
    """
    path = Path(str(cam.source))
    if run.resolve() in (path.resolve(), *path.resolve().parents):
        raise ConfigError(
            f"cam.source={path}: expected a folder outside of output={run}; copy the maps or choose another output."
        )
    given = cam.classes == "given"
    return open_map_folder(path, format=cam.source_format, samples=samples, classes=classes, given=given)


def describe_source(cam: CamConfig, folder: MapFolder) -> dict[str, Any]:
    """What of `cam.source` changes the imported maps: a moved folder is the same, changed files are not."""
    settings = {"source_format": folder.format, "source_files": hash_map_files(folder), "classes": cam.classes}
    return settings | {"raw": folder.raw} | ({"preset": cam.preset} if folder.raw else {})


def import_maps(
    cam: CamConfig, folder: MapFolder, samples: Sequence[Sample], *, files: StageFiles, workers: int, progress: Progress
) -> list[Failure]:
    """Imports the maps of every sample that has none yet; returns the images that failed."""
    values = f"raw, normalised by preset '{cam.preset}'" if folder.raw else "in [0, 1], kept as they are"
    log.info("cams: maps of %s, format %s (%s); values %s", folder.path, folder.format, folder.reason, values)
    work = ImportWork(files, folder, get_preset(cam.preset))
    return do_images(missing(samples, files.maps), work, workers=workers, title="cams", progress=progress)
