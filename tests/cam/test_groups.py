"""Class groups as people write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsl.cam.groups import identity_groups, parse_groups
from wsl.errors import ConfigError
from wsl.types import ClassSet

CLASSES = ClassSet(("cat", "dog", "zebra crossing"))


def test_a_trained_classifier_has_one_output_per_class() -> None:
    assert identity_groups(CLASSES) == {1: (0,), 2: (1,), 3: (2,)}


@pytest.mark.parametrize(
    ("value", "outputs"),
    [
        (281, (281,)),
        (0, (0,)),
        ("281", (281,)),
        ("281-285", (281, 282, 283, 284, 285)),
        (" 4 - 6 , 2", (2, 4, 5, 6)),
        ("7-7", (7,)),
        ([3, "1-2", [9, "2"]], (1, 2, 3, 9)),
        ((5, 5), (5,)),
    ],
)
def test_every_way_of_writing_a_group(value: Any, outputs: tuple[int, ...]) -> None:
    assert parse_groups({"dog": value}, CLASSES, 1000) == {2: outputs}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 20)), min_size=1, max_size=6))
def test_ranges_are_sorted_without_doubles(ranges: list[tuple[int, int]]) -> None:
    text = ", ".join(f"{low}-{low + more}" for low, more in ranges)
    wanted = {output for low, more in ranges for output in range(low, low + more + 1)}
    assert parse_groups({"cat": text}, CLASSES, 1000) == {1: tuple(sorted(wanted))}


def test_classes_without_a_group_are_left_out_and_order_is_the_files() -> None:
    assert list(parse_groups({"dog": 1, "cat": 2}, CLASSES, 3)) == [2, 1]
    assert parse_groups({}, CLASSES, 3) == {}


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"cow": 3}, r"model.groups: 'cow' is not a class of the data set \(cat, dog, zebra crossing, ...\)"),
        ({"cat": 10}, "model.groups.cat: expected outputs in 0..9, but got 10"),
        ({"cat": -1}, "model.groups.cat: expected outputs in 0..9, but got -1"),
        ({"cat": "8-10"}, "expected outputs in 0..9, but got '8-10'"),
        ({"cat": "5-3"}, "expected outputs in 0..9, but got '5-3'"),
        ({"cat": []}, r"expected outputs in 0..9, but got \[\]"),
        ({"cat": "three"}, "expected numbers like '151-268, 275', but got 'three'"),
        ({"cat": "1,,2"}, "expected numbers like '151-268, 275', but got '1,,2'"),
        ({"cat": None}, "expected numbers like '151-268, 275', but got None"),
        ({"cat": 1.5}, "expected numbers like '151-268, 275', but got 1.5"),
        ({"cat": True}, "model.groups.cat: expected output numbers, but got True"),
        ({"cat": {"a": 1}}, "expected numbers like '151-268, 275'"),
    ],
)
def test_mistakes_name_the_class_and_the_value(groups: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_groups(groups, CLASSES, 10)
