"""Tables over the same images in the same order, or a sentence why that cannot be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.tables import Measured
from wsl.evaluate.segmentation.confusion import check_policy

IMAGES = ("same", "common")


def align(tables: Sequence[Measured], images: str = "same") -> list[Measured]:
    """The tables over the images of the first ("same": all must have the same), or those that all have ("common").

    DataError when images differ, none is common, or the ground truth is not the same; ConfigError when kind or
    settings but `threshold` differ.
    """
    check_policy(images, IMAGES, "images")
    first, *others = tables
    for other in others:
        _check_settings(first, other)
        if images == "same":
            _check_images(first.image_ids, other.image_ids)
    common = set(first.image_ids).intersection(*(other.image_ids for other in others))
    if not common:
        raise DataError("The runs have no image in common; were they scored on the same split?")
    kept = [image_id for image_id in first.image_ids if image_id in common]
    aligned = [_select(table, kept) for table in tables]
    for other in aligned[1:]:
        _check_truth(aligned[0], other)
        if aligned[0].class_ids != other.class_ids:
            raise DataError(
                f"The runs have scores of different classes, {aligned[0].class_ids} and {other.class_ids}: "
                "only equal ones can be compared."
            )
    return aligned


def _select(table: Measured, image_ids: list[str]) -> Measured:
    if image_ids == list(table.image_ids):
        return table
    place = {image_id: position for position, image_id in enumerate(table.image_ids)}
    return table.select(np.array([place[image_id] for image_id in image_ids], np.intp))


def _check_settings(first: Measured, second: Measured) -> None:
    mine, theirs = (
        {"kind": table.kind, **{name: value for name, value in table.settings().items() if name != "threshold"}}
        for table in (first, second)
    )
    different = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
    if different:
        shown = ", ".join(f"{name} ({mine.get(name)} and {theirs.get(name)})" for name in different)
        raise ConfigError(f"Only scores of the same conventions can be compared, but these differ: {shown}.")


def _check_images(mine: tuple[str, ...], theirs: tuple[str, ...]) -> None:
    alone, others = sorted(set(mine) - set(theirs)), sorted(set(theirs) - set(mine))
    if alone or others:
        example = f"{alone[0]} is only in the first" if alone else f"{others[0]} is only in the second"
        raise DataError(
            f"Expected the same images in both runs, but {len(alone)} are only in the first and {len(others)} only in "
            f"the second ({example}). Choose images 'common' to compare on those in both."
        )


def _check_truth(first: Measured, second: Measured) -> None:
    mine, theirs = first.truth(), second.truth()
    if mine is None or theirs is None or np.array_equal(mine, theirs):
        return
    lines = {tuple(line) for line in mine.tolist()} ^ {tuple(line) for line in theirs.tolist()}
    image, class_id = min(lines)[:2] if lines else (0, 0)
    raise DataError(
        f"The runs were scored against different ground truth: it differs for image "
        f"'{first.image_ids[image]}', class {class_id} ({len(lines)} differences in all)."
    )
