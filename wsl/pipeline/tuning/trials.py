"""The trials of a search on disk: a line of JSON each, so that a killed search goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsl.errors import ConfigError, DataError
from wsl.files import write_bytes
from wsl.pipeline.tuning.space import Settings

FILE = "trials.jsonl"


@dataclass(frozen=True)
class Outcome:
    """The objective of one trial on the first `images` images; None with an `error`, or where it is undefined."""

    settings: Settings
    images: int
    value: float | None
    seconds: float
    error: str = ""


def key_of(settings: Settings, images: int) -> str:
    """Names a trial on a number of images, whatever the order of its settings."""
    return json.dumps([settings, images], sort_keys=True)


class TrialStore:
    """Outcomes of one search. The first line of the file says which search it is; each later line is one outcome."""

    def __init__(self, folder: Path, search: Mapping[str, Any]) -> None:
        self.path = folder / FILE
        self.outcomes: dict[str, Outcome] = {}
        if self.path.exists():
            self._read(dict(search))
        else:
            write_bytes(self.path, _line({"search": dict(search)}))

    def find(self, settings: Settings, images: int) -> Outcome | None:
        """The stored outcome, None where there is none yet."""
        return self.outcomes.get(key_of(settings, images))

    def add(self, outcome: Outcome) -> None:
        """Appends one outcome and waits until it is on the disk."""
        with self.path.open("ab") as stream:
            stream.write(_line(vars(outcome)))
            stream.flush()
            os.fsync(stream.fileno())
        self.outcomes[key_of(outcome.settings, outcome.images)] = outcome

    def _read(self, search: dict[str, Any]) -> None:
        """A last line without its end is what a kill left: it is cut off."""
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(self.path, len(whole))
        rows = [self._parse(line, number) for number, line in enumerate(whole.splitlines(), start=1)]
        if not rows or rows[0].get("search") != json.loads(json.dumps(search)):
            changed = _name_changes(rows[0].get("search") if rows else None, search)
            raise ConfigError(
                f"{self.path}: holds another search ({changed}): give its settings again to go on with it, or --out "
                "DIR for a new one."
            )
        for row in rows[1:]:
            outcome = Outcome(**row)
            self.outcomes[key_of(outcome.settings, outcome.images)] = outcome

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{self.path}, line {number}: expected JSON, but {error}; delete the file.") from None
        if not isinstance(row, dict) or (number > 1 and set(row) != set(Outcome.__dataclass_fields__)):
            raise DataError(f"{self.path}, line {number}: expected a trial; delete the file to search anew.")
        return row


def _line(row: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(row, sort_keys=True, allow_nan=False)}\n".encode()


def _name_changes(before: Any, now: Mapping[str, Any]) -> str:
    if not isinstance(before, dict):
        return "its first line is broken"
    plain = json.loads(json.dumps(dict(now)))
    return ", ".join(f"other {key}" for key in sorted({*before, *plain}) if before.get(key) != plain.get(key))
