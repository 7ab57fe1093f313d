from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from wsl.errors import ConfigError, DataError
from wsl.workers import map_in_processes


def square(value: int) -> int:
    if value == 999:
        raise DataError("999.png: broken.")
    return value * value


def leave(value: int) -> int:
    os._exit(1)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    items = list(range(40))
    assert list(map_in_processes(square, items, workers)) == [value * value for value in items]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_of_the_work_is_raised_here(workers: int) -> None:
    with pytest.raises(DataError, match="999"):
        list(map_in_processes(square, [*range(20), 999], workers))


def test_a_process_that_is_ended_is_told() -> None:
    with pytest.raises(ConfigError, match="workers=2: a worker process was ended"):
        list(map_in_processes(leave, list(range(20)), 2))


def test_few_items_are_done_in_this_process() -> None:
    results = map_in_processes(lambda value: value + 1, [1, 2], 2)  # a lambda cannot be sent to another process
    assert isinstance(results, Iterator)
    assert list(results) == [2, 3]
