"""Files appear whole or not at all: written beside, synced, renamed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from wsl.errors import DataError

TEMPORARY_PREFIX = ".writing-"


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the name `path` only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Writes `content` atomically."""
    with atomic_file(path) as stream:
        stream.write(content)


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as sorted, indented JSON, atomically. NaN is refused (it is not JSON)."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Reads a JSON file; DataError naming the file when it is missing or broken."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected JSON, but {error}.") from None


def remove_leftovers(folder: Path) -> None:
    """Deletes the unfinished files that a killed run left anywhere below `folder`."""
    for leftover in folder.rglob(TEMPORARY_PREFIX + "*"):
        leftover.unlink(missing_ok=True)
