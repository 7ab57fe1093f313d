"""Finding files below a data set's root, and never outside of it."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from wsl.data.dataset import Problem
from wsl.data.images import IMAGE_SUFFIXES
from wsl.errors import DataError


def list_images(folder: Path) -> list[Path]:
    """The image files directly in `folder` by suffix, sorted by name, hidden ones left out; [] if there is none."""
    return [folder / name for name in _list_names(folder, files=True) if _has_image_suffix(name)]


def list_folders(folder: Path) -> list[Path]:
    """The folders directly in `folder`, sorted by name, hidden ones left out; [] if there is none."""
    return [folder / name for name in _list_names(folder, files=False)]


def list_files(folder: Path, suffix: str) -> list[Path]:
    """The files directly in `folder` with this suffix in any case, sorted by name, hidden ones left out."""
    return [folder / name for name in _list_names(folder, files=True) if name.lower().endswith(suffix)]


def index_by_stem(paths: list[Path]) -> tuple[dict[str, Path], list[Problem]]:
    """Files by their name without suffix; of several with the same stem the first is kept, the others are problems."""
    index: dict[str, Path] = {}
    problems = []
    for path in paths:
        first = index.setdefault(path.stem, path)
        if first != path:
            problems.append(Problem(path, f"has the same name as {first.name} but for the suffix; rename one of them."))
    return index, problems


def has_images(folder: Path) -> bool:
    """True when at least one image file lies directly in `folder`; stops at the first."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(_has_image_suffix(entry.name) and not entry.name.startswith(".") for entry in entries)


def find_inside(folder: Path, name: str, root: Path | None = None) -> Path:
    """The path that an annotation file names, refused when it leaves the data set.

    Args:
        folder: what relative names are relative to.
        name: the name as written; both kinds of slash are understood.
        root: the folder that must not be left; `folder` if None.

    Raises:
        DataError: the name is empty, or it leads outside of `root`.
    """
    plain = name.strip().replace("\\", "/")
    if not plain or "\0" in plain or PureWindowsPath(plain).drive:
        raise DataError(f"the file name {name!r:.80} is not a relative path.")
    # Nearly all names; the full treatment of a hundred thousand of them takes seconds.
    if root is None and plain[0] != "/" and not {"", ".", ".."} & set(plain.split("/")):
        return folder / plain
    absolute = os.path.normpath(os.path.join(os.path.abspath(folder), plain))
    top = os.path.abspath(root or folder)
    if absolute == top or not absolute.startswith(os.path.join(top, "")):
        raise DataError(f"the file name {name!r:.80} leads outside of the data set; it must lie below {top}.")
    return folder / os.path.relpath(absolute, os.path.abspath(folder))


def to_image_id(path: Path, folder: Path) -> str:
    """The image's path below `folder`, with '/' and without suffix: unique as long as stems are."""
    return str(PurePosixPath(*path.relative_to(folder).with_suffix("").parts))


def _list_names(folder: Path, files: bool) -> list[str]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_file() == files and not entry.name.startswith("."))


def _has_image_suffix(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
