"""Per-image tables: what is left of an evaluation when the maps are gone.

A table holds one row per (image, class) with the counts or overlaps from which the score of the whole set follows.
The score is computed anew for any weighting of the images, so that drawing images with replacement, leaving some out
or comparing two runs image by image needs no map and no mask again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import DataError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Integers = NDArray[np.integer[Any]]
Values = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]

SHARED = ("thresholds",)  # arrays that do not have one entry per row
T = TypeVar("T", bound="StoredTable")


class Measured(Protocol):
    """A score as a function of the weights of the images. A weight of 2 counts an image twice, 0 leaves it out."""

    @property
    def kind(self) -> str: ...

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The n images, also those without a row."""

    @property
    def class_ids(self) -> tuple[int, ...]:
        """The C classes in the order of `measure_classes`."""

    def measure(self, weights: ArrayLike) -> Values:
        """The score under each of B weightings (B, n): float64 (B,), NaN where undefined."""

    def measure_classes(self, weights: ArrayLike) -> Values:
        """The score of each class under each weighting: float64 (B, C), NaN where undefined."""

    def settings(self) -> dict[str, Any]:
        """Everything but arrays and image ids, as JSON values."""

    def select(self, positions: NDArray[np.intp]) -> Measured:
        """The same over the images at `positions` alone, in that order."""

    def truth(self) -> NDArray[np.int64] | None:
        """What the ground truth gives, one line per row, sorted: equal for runs scored on the same truth. None where
        the table cannot tell."""

    def for_swapping(self) -> Exchangeable | None:
        """The table as sums over images that may be exchanged with those of another run, each threshold chosen;
        None where a score needs values of one method to be comparable between images."""


class ImageTable(Measured, Protocol):
    """A table that can be stored."""

    def arrays(self) -> Arrays:
        """The arrays by name."""


class Exchangeable(Protocol):
    """A score that is a function of sums over images."""

    @property
    def class_ids(self) -> tuple[int, ...]: ...

    def sums(self, weights: ArrayLike) -> Values:
        """Weighted sums (B, C, M) of the rows of each class."""

    def measure_sums(self, sums: Values) -> Values:
        """The score of such sums: float64 (B,)."""

    def measure_class_sums(self, sums: Values) -> Values:
        """The score of each class: float64 (B, C)."""


class StoredTable:
    """Base of the tables: frozen dataclasses with `image_ids`, `row_image` int (R,), arrays over rows and settings."""

    kind: ClassVar[str]
    image_ids: tuple[str, ...]
    row_image: Integers
    row_class: Integers

    def arrays(self: DataclassInstance) -> Arrays:
        """The arrays by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def settings(self: DataclassInstance) -> dict[str, Any]:
        """The other fields but the image ids, as JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "image_ids"}
        plain = {name: value for name, value in values.items() if not isinstance(value, np.ndarray)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @classmethod
    def from_arrays(cls: type[T], image_ids: tuple[str, ...], arrays: Arrays, settings: dict[str, Any]) -> T:
        """The table of what `arrays` and `settings` gave; DataError when a name is missing or unknown."""
        known = {field.name for field in fields(cls)} - {"image_ids"}  # type: ignore[arg-type]
        given = {**arrays, **settings}
        if given.keys() != known:
            raise DataError(f"A table of {cls.kind} has {sorted(known)}, but got {sorted(given)}.")
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        return cls(image_ids=image_ids, **plain)  # type: ignore[call-arg]

    def select(self: T, positions: NDArray[np.intp]) -> T:
        """The table of the images at `positions` (different ones), in that order."""
        place = np.full(len(self.image_ids), -1, np.int64)
        place[positions] = np.arange(len(positions))
        kept = np.flatnonzero(place[self.row_image] >= 0)
        arrays: Arrays = self.arrays()  # type: ignore[misc]
        changed: dict[str, Any] = {name: array[kept] for name, array in arrays.items() if name not in SHARED}
        changed["row_image"] = place[self.row_image[kept]]
        changed["image_ids"] = tuple(self.image_ids[position] for position in positions)
        return replace(self, **changed)  # type: ignore[type-var]


def index_images(row_ids: Sequence[str], image_ids: Sequence[str] = ()) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """(`image_ids`, `row_image`) of rows that name their image: the images of `image_ids` in order, then any others.

    Give `image_ids` all scored images, also those without a row: they are drawn like the others.
    """
    place = {image_id: position for position, image_id in enumerate(dict.fromkeys([*image_ids, *row_ids]))}
    return tuple(place), np.array([place[row] for row in row_ids], np.int64)


def find_class_ids(row_class: Integers) -> tuple[int, ...]:
    """The classes that occur, ascending."""
    return tuple(int(class_id) for class_id in np.unique(row_class))


def sort_lines(*columns: Integers) -> NDArray[np.int64]:
    """The columns (R,) side by side, int64 (R, number of columns), lines sorted by the first, then the next column."""
    lines = np.stack([np.asarray(column, np.int64) for column in columns], axis=1)
    return lines[np.lexsort(lines.T[::-1])]
