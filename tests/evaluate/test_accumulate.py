from __future__ import annotations

import pytest

from wsl.errors import DataError
from wsl.evaluate.accumulate import FEW, accumulate
from wsl.progress import Silent


class Names:
    """Sums that show the order in which they were joined."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def merge(self, other: Names) -> None:
        self.names += other.names


def add(names: Names, item: int) -> None:
    if item < 0:
        raise DataError(f"{item}.png: broken.")
    names.names.append(str(item))


class Steps(Silent):
    def __init__(self) -> None:
        self.done = 0

    def step(self, count: int = 1, note: str = "") -> None:
        self.done += count


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("count", [0, 1, 2 * FEW + 5])
def test_all_items_are_added_in_order(workers: int, count: int) -> None:
    steps = Steps()
    names = accumulate(list(range(count)), Names, add, workers=workers, progress=steps, title="names")
    assert names.names == [str(item) for item in range(count)]
    assert steps.done == count


@pytest.mark.parametrize("workers", [0, 2])
def test_the_first_error_is_raised(workers: int) -> None:
    items = [*range(2 * FEW), -1, -2]
    with pytest.raises(DataError, match=r"-1\.png"):
        accumulate(items, Names, add, workers=workers, progress=Silent(), title="names")
