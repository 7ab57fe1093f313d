"""One record for every score: the value with all that is needed to know what it means, on disk as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import platform
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from wsl.errors import DataError
from wsl.files import read_json, write_bytes
from wsl.types import ClassSet
from wsl.version import __version__, find_versions

PROVENANCES = ("fixed", "val", "label_free", "oracle")
FORMAT = 2  # 1 was the bare list of scores
JSON_NAME = "scores.json"
CSV_NAME = "scores.csv"
PACKAGES = ("numpy", "scipy", "opencv-python-headless", "pillow", "pycocotools", "faster-coco-eval", "numba")


@dataclass(frozen=True)
class Score:
    """One number and how it came about.

    `value` is a fraction in [0, 1], None where undefined. `protocol` names the way of counting, `conventions` its
    free choices ("absent classes": "skip", ...). `per_class` maps a class name to its measures, `counts` says how
    much was scored. `threshold` is None or {"value": float | None, "provenance": one of PROVENANCES}; oracle means
    chosen on the scored images themselves. `curve` holds columns of equal length. `interval` is None or
    {"low", "high", "level", "method", "replicates"}: how far the value could be off for other images of the same kind.
    """

    name: str
    value: float | None
    protocol: str
    conventions: dict[str, str] = field(default_factory=dict)
    per_class: dict[str, dict[str, float | None]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    threshold: dict[str, Any] | None = None
    curve: dict[str, list[float | None]] | None = None
    interval: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            raise DataError(f"Score '{self.name}': expected a finite value or None, but got {self.value}.")
        if self.threshold is not None and self.threshold.get("provenance") not in PROVENANCES:
            raise DataError(
                f"Score '{self.name}': expected a threshold provenance of {', '.join(PROVENANCES)}, "
                f"but got {self.threshold.get('provenance')!r}."
            )


def compute_mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are defined (neither None nor NaN); None when there is none."""
    defined = [float(value) for value in values if value is not None and not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else None


def to_optional(value: float) -> float | None:
    """NaN, which JSON cannot hold, as None."""
    return None if math.isnan(value) else float(value)


def name_class(class_id: int, classes: ClassSet | None) -> str:
    """The name under which a class appears in `per_class`; "class 3" where no names are known."""
    return classes.name_of(class_id) if classes else f"class {class_id}"


def name_table(score: Score, taken: Container[str] = ()) -> str:
    """The name of a score's per-image table: the score's, and how its threshold was found. `taken` names are avoided
    by adding the threshold itself."""
    if score.threshold is None:
        return score.name
    rule = score.threshold.get("label-free rule")
    name = f"{score.name} ({score.threshold['provenance']}{f' {rule}' if rule else ''})"
    return name if name not in taken else f"{name[:-1]} {score.threshold['value']:g})"


def write_scores(folder: Path, scores: Sequence[Score], about: Mapping[str, Any] | None = None) -> None:
    """Writes scores.json (everything) and scores.csv (a row per score and per class) into `folder`.

    `about`: what all scores have in common, such as the split, the counts and the versions of `describe_versions`.
    """
    # not `write_json`: that sorts the keys, and classes are to stay in their order
    content = {"format": FORMAT, "about": dict(about or {}), "scores": [asdict(score) for score in scores]}
    write_bytes(folder / JSON_NAME, f"{json.dumps(content, indent=1, allow_nan=False)}\n".encode())
    write_bytes(folder / CSV_NAME, _csv_text(scores).encode())


def read_scores(folder: Path) -> list[Score]:
    """Reads what `write_scores` wrote; DataError naming the file when it holds something else."""
    path = folder / JSON_NAME
    rows = _read_content(path)["scores"]
    known = {item.name for item in fields(Score)}
    if not isinstance(rows, list) or not all(isinstance(row, dict) and set(row) <= known for row in rows):
        raise DataError(f"{path}: expected a list of scores with the keys {', '.join(sorted(known))}.")
    try:
        return [Score(**row) for row in rows]
    except TypeError as error:
        raise DataError(f"{path}: a score is incomplete ({error}).") from None


def read_about(folder: Path) -> dict[str, Any]:
    """The `about` of `write_scores`; {} for a file of format 1."""
    about = _read_content(folder / JSON_NAME)["about"]
    if not isinstance(about, dict):
        raise DataError(f"{folder / JSON_NAME}: expected an object as 'about', but got {type(about).__name__}.")
    return about


def _read_content(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if isinstance(content, list):
        return {"about": {}, "scores": content}
    if not isinstance(content, dict) or content.get("format") != FORMAT or not {"about", "scores"} <= content.keys():
        raise DataError(f"{path}: expected scores of format {FORMAT}, an object with 'about' and 'scores'.")
    return content


def describe_versions() -> dict[str, str]:
    """Versions of everything that has a part in a score; "missing" for packages that are not installed."""
    return {"wsl": __version__, "python": platform.python_version()} | find_versions(PACKAGES)


def _show_conventions(score: Score) -> str:
    return "; ".join(f"{key}: {score.conventions[key]}" for key in sorted(score.conventions))


def _csv_text(scores: Sequence[Score]) -> str:
    """Empty cell = does not apply, "None" = undefined."""
    measures = sorted({key for score in scores for row in score.per_class.values() for key in row})
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["score", "class", "value", *measures, "threshold", "provenance", "protocol", "conventions"])
    for score in scores:
        threshold = score.threshold or {}
        ending = [_cell(threshold, "value"), threshold.get("provenance", ""), score.protocol, _show_conventions(score)]
        table.writerow([score.name, "", repr(score.value), *[""] * len(measures), *ending])
        for name, row in score.per_class.items():
            table.writerow([score.name, name, "", *[_cell(row, key) for key in measures], *ending])
    return stream.getvalue()


def _cell(row: dict[str, Any], key: str) -> str:
    return repr(row[key]) if key in row else ""
