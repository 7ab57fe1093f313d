"""What may be read of a file from elsewhere, so that a small or damaged file cannot fill the memory."""

from __future__ import annotations

import zipfile
from pathlib import Path

from wsl.errors import DataError

MAX_BYTES = 1 << 30  # of one image's maps, packed or unpacked


def check_file_size(path: Path) -> None:
    """Raises DataError unless `path` is a file of 1 to MAX_BYTES bytes."""
    if not path.is_file():
        raise DataError(f"{path}: no such map file.")
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise DataError(f"{path}: expected a map file of 1 to {MAX_BYTES} bytes, but got {size}.")


def check_unpacked_size(path: Path) -> None:
    """Raises DataError when the members of an `.npz` file would unpack to more than MAX_BYTES bytes."""
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: expected an .npz file, but {error}.") from None
    if total > MAX_BYTES:
        raise DataError(f"{path}: expected arrays of at most {MAX_BYTES} bytes, but they unpack to {total}.")
