"""The tables of the export stage: confidence of every image, class and region, and the list of images to review."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

from wsl.files import atomic_file
from wsl.pipeline.confidence import StoredConfidence, mean_signals
from wsl.quality.reasons import describe
from wsl.quality.signals import NAMES, Signals
from wsl.types import ClassSet, Sample

KEPT, LEFT_OUT, FAILED = "kept", "left out", "failed"
Read = Callable[[str], StoredConfidence]
WriteRow = Callable[[Sequence[Any]], Any]


def write_image_table(
    path: Path, samples: Sequence[Sample], states: Mapping[str, str], read: Read, classes: ClassSet
) -> None:
    """A row per image, with an empty class and the means of its signals, and below it a row per class of it.

    Empty cell = not known. states: `kept`, `left out` or `failed` of every sample; failed ones have their row only.
    """
    with _table(path, ["image_id", "class", "confidence", "state", *NAMES]) as write:
        for sample in samples:
            state = states[sample.image_id]
            if state == FAILED:
                write([sample.image_id, "", "", state, *[""] * len(NAMES)])
                continue
            found = read(sample.image_id)
            write([sample.image_id, "", found.confidence, state, *_cells(mean_signals(found.classes))])
            for each in found.classes:
                name = classes.name_of(each.class_id)
                write([sample.image_id, name, each.confidence, state, *_cells(each.signals)])


def write_region_table(
    path: Path, samples: Sequence[Sample], states: Mapping[str, str], read: Read, classes: ClassSet, least: float
) -> None:
    """A row per region that is large enough: its number in the image, counted in the order of the COCO annotations,
    class, area, confidence.

    least: regions below it are left out in images that are kept.
    """
    with _table(path, ["image_id", "region", "class", "area", "confidence", "state"]) as write:
        for sample in samples:
            state = states[sample.image_id]
            regions = () if state == FAILED else read(sample.image_id).regions
            for number, (class_id, area, confidence) in enumerate(regions, start=1):
                own = LEFT_OUT if confidence < least else state
                write([sample.image_id, number, classes.name_of(class_id), area, confidence, own])


def write_review_list(
    path: Path, samples: Sequence[Sample], states: Mapping[str, str], read: Read, messages: Mapping[str, str],
    classes: ClassSet,
) -> None:  # fmt: skip
    """The images that are not exported: first those that failed, then by rising confidence, then by id."""
    rows = []
    for sample in samples:
        if states[sample.image_id] == FAILED:
            reason = f"failed: {messages.get(sample.image_id, 'an earlier stage did not finish it')}"
            rows.append((-1.0, sample.image_id, "", reason, sample.image_path))
        elif states[sample.image_id] == LEFT_OUT:
            found = read(sample.image_id)
            reason = describe(found.classes, classes)
            rows.append((found.confidence, sample.image_id, str(found.confidence), reason, sample.image_path))
    with _table(path, ["image_id", "confidence", "reasons", "path"]) as write:
        for _, image_id, confidence, reason, image_path in sorted(rows, key=lambda row: row[:2]):
            write([image_id, confidence, reason, image_path])


def _cells(signals: Signals) -> list[Any]:
    return ["" if math.isnan(value) else round(value, 6) for value in astuple(signals)]


@contextmanager
def _table(path: Path, header: Sequence[str]) -> Iterator[WriteRow]:
    """Writes CSV rows one at a time to a file that appears whole."""
    with atomic_file(path) as stream:
        text = io.TextIOWrapper(stream, "utf8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        yield writer.writerow
        text.flush()
        text.detach()
