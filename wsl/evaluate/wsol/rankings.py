"""Predicted classes of images, best first: what Top-1 and Top-5 need beside the maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wsl.errors import DataError
from wsl.evaluate.wsol.lines import check_line, read_lines, to_whole
from wsl.evaluate.wsol.metadata import WsolMetadata
from wsl.files import read_json

Rankings = dict[str, tuple[int, ...]]


def read_rankings(path: Path, metadata: WsolMetadata) -> Rankings:
    """Image id -> class ids (ours, from 1), best first.

    A CSV without header, `<id>,<label>,<label>,...`, or a JSON object {id: [label, ...]}; labels from 0 as in
    class_labels.txt. DataError, naming the line or the image, for labels that are no whole numbers or double, images
    that are double, not in image_ids.txt, or lack a ranking.
    """
    ranked = _read_object(path, metadata) if path.suffix.lower() == ".json" else _read_csv(path, metadata)
    absent = [image_id for image_id in metadata.image_ids if image_id not in ranked]
    if absent:
        raise DataError(
            f"{path}: no ranking for {len(absent)} of {len(metadata.image_ids)} images, the first is '{absent[0]}'."
        )
    return ranked


def _read_csv(path: Path, metadata: WsolMetadata) -> Rankings:
    ranked: Rankings = {}
    for line in read_lines(path):
        if len(line.fields) < 2:
            raise DataError(f"{line.where}: expected an image id and at least one label, but got one field.")
        check_line(line, (len(line.fields),), metadata.class_ids)
        if line.image_id in ranked:
            raise DataError(f"{line.where}: image '{line.image_id}' has two lines.")
        labels = [to_whole(line, index) for index in range(1, len(line.fields))]
        ranked[line.image_id] = _to_class_ids(labels, line.where)
    return ranked


def _read_object(path: Path, metadata: WsolMetadata) -> Rankings:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object of image id and list of labels, but got {content!r:.80}.")
    ranked: Rankings = {}
    for image_id, labels in content.items():
        where = f"{path}: image '{image_id:.80}'"
        if image_id not in metadata.class_ids:
            raise DataError(f"{where} is not in image_ids.txt.")
        if not isinstance(labels, list) or not labels or not all(_is_label(each) for each in labels):
            raise DataError(f"{where}: expected a list of labels from 0, but got {labels!r:.80}.")
        ranked[image_id] = _to_class_ids(labels, where)
    return ranked


def _to_class_ids(labels: list[int], where: str) -> tuple[int, ...]:
    if len(set(labels)) != len(labels):
        raise DataError(f"{where}: expected different labels, but got {labels[:10]}.")
    return tuple(label + 1 for label in labels)


def _is_label(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
