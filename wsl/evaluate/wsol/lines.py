"""Lines of comma-separated text files in which the first field is an image id."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from wsl.errors import DataError


@dataclass(frozen=True)
class Line:
    """One line that is not blank; `where` is the file and the number, for errors."""

    where: str
    fields: list[str]

    @property
    def image_id(self) -> str:
        return self.fields[0]


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a UTF-8 file, split at commas; DataError when it is missing or is no text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected UTF-8 text, but {error}.") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield Line(f"{path}, line {number}", [field.strip() for field in line.split(",")])


def check_line(line: Line, counts: tuple[int, ...], known: Collection[str] | None) -> None:
    """DataError unless the line has one of `counts` as the number of its fields and its id is among `known`."""
    if len(line.fields) not in counts:
        wanted = " or ".join(str(count) for count in counts)
        raise DataError(f"{line.where}: expected {wanted} fields, but got {len(line.fields)}.")
    if known is not None and line.image_id not in known:
        raise DataError(f"{line.where}: image '{line.image_id[:80]}' is not in image_ids.txt.")


def to_whole(line: Line, index: int, smallest: int = 0) -> int:
    """The field as a whole number; DataError when it is none or below `smallest`."""
    field = line.fields[index]
    if not (field.isascii() and field.isdecimal()) or int(field) < smallest:
        raise DataError(f"{line.where}: expected a whole number from {smallest}, but got '{field[:80]}'.")
    return int(field)
