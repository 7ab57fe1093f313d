"""The run folder: one manifest, one folder per stage, nothing half-written, one process at a time."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsl.errors import ConfigError, DataError
from wsl.files import read_json, remove_leftovers, write_json
from wsl.types import Sample
from wsl.version import __version__, find_versions

FORMAT = 1
DRAWN, DRAWN_MARK = "drawn", "drawing.json"  # where `wsl demo` keeps its images, and the sign that they are its own
PACKAGES = ("torch", "torchvision", "numpy", "opencv-python-headless", "pillow", "pydensecrf2")


@dataclass(frozen=True)
class Failure:
    """An image that a stage could not do, and why."""

    image_id: str
    message: str


class RunFolder:
    """Paths, manifest and lock of one run. The manifest holds no times, so equal runs have equal bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._make()
        self._refuse_foreign()  # before anything in the folder is touched
        self._lock = _lock(path / ".lock")
        remove_leftovers(path)
        self.manifest: dict[str, Any] = self._read_manifest()

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"output={self.path}: cannot make this folder ({error.strerror}).") from None

    def _refuse_foreign(self) -> None:
        if (self.path / "manifest.json").exists() or (self.path / DRAWN / DRAWN_MARK).exists():
            return
        lock = self.path / ".lock"
        own = lock.exists() and not lock.stat().st_size
        others = [entry.name for entry in self.path.iterdir() if not (own and entry == lock)]
        if others:
            raise ConfigError(f"output={self.path}: the folder holds other files ({others[0]}, ...); choose another.")

    def _read_manifest(self) -> dict[str, Any]:
        path = self.path / "manifest.json"
        if not path.exists():
            return {"format": FORMAT, "stages": {}}
        manifest = read_json(path)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise DataError(f"{path}: not the manifest of a run of this version of wsl; choose another output=DIR.")
        return manifest

    def stage(self, name: str) -> dict[str, Any]:
        """What the manifest says of a stage; {} if it never began."""
        found: dict[str, Any] = self.manifest["stages"].get(name, {})
        return found

    def describe(self, config: dict[str, Any], **about: Any) -> None:
        """Writes settings and versions into the manifest. The output path is left out: runs may be moved."""
        settings = {key: value for key, value in config.items() if key != "output"}
        versions = {"python": platform.python_version()} | find_versions(PACKAGES)
        self.manifest.update(config=settings, wsl=__version__, versions=versions, **about)
        self._write()

    def begin(self, name: str, fingerprint: str, settings: dict[str, Any]) -> None:
        """Marks a stage as running with these settings."""
        self.manifest["stages"][name] = {"state": "running", "fingerprint": fingerprint, "settings": settings}
        self._write()

    def finish(self, name: str, counts: dict[str, int], failures: Iterable[Failure]) -> None:
        """Marks a stage as done."""
        listed = sorted(({"image_id": each.image_id, "message": each.message} for each in failures), key=str)
        self.stage(name).update(state="done", counts=counts, failures=listed)
        self._write()

    def _write(self) -> None:
        write_json(self.path / "manifest.json", self.manifest)

    def output(self, folder: str, image_id: str, suffix: str) -> Path:
        """The file of one image in one stage's folder."""
        return self.path / folder / f"{image_id}{suffix}"

    def clear(self, name: str, folder: str) -> None:
        """Deletes a stage's outputs. The manifest says so first: a kill in between must not leave half as done."""
        self.manifest["stages"][name] = {"state": "clearing"}
        self._write()
        shutil.rmtree(self.path / folder, ignore_errors=True)

    def drop_stale(self, folder: str, suffix: str, samples: Iterable[Sample]) -> None:
        """Deletes the outputs of images whose labels or bytes changed, or that are gone, since they were made."""
        record = self.path / folder / ".inputs.json"
        now = {sample.image_id: describe_input(sample) for sample in samples}
        before: dict[str, str] = read_json(record) if record.exists() else {}
        if before == now:
            return
        for image_id in before:
            if now.get(image_id) != before[image_id]:
                self.output(folder, image_id, suffix).unlink(missing_ok=True)
        write_json(record, now)


def describe_input(sample: Sample) -> str:
    """One line that changes when an image's labels or file change."""
    size = sample.image_path.stat().st_size if sample.image_path.exists() else -1
    return f"{sample.class_ids} {size}"


def hash_inputs(samples: Iterable[Sample], truth: bool = False) -> str:
    """A short hash of image ids, labels and file sizes; with `truth` also of boxes and mask files."""
    lines = [
        f"{sample.image_id} {describe_input(sample)}{_describe_truth(sample) if truth else ''}" for sample in samples
    ]
    return hash_value(sorted(lines))


def _describe_truth(sample: Sample) -> str:
    path = sample.mask.path if sample.mask else None
    return f" {path.stat().st_size if path and path.exists() else None} {sample.instances}"


def hash_value(value: Any) -> str:
    """The first 16 hex digits of the SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _lock(path: Path) -> Any:
    """Holds the folder for this process; the system lets go of it however the process ends."""
    try:
        import fcntl
    except ImportError:  # Windows has no fcntl; there two runs in one folder are the user's to avoid.
        return None
    stream = path.open("a")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigError(f"output={path.parent}: another wsl process is working in this folder.") from None
    return stream
