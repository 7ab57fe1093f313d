"""Names of outputs, and what a word means among them."""

from __future__ import annotations

import pytest

from wsl.errors import ConfigError
from wsl.models.output_names import find_output, find_outputs, list_imagenet_names, name_outputs

NAMES = ("tabby", "tiger cat", "tiger", "crane", "Siamese cat", "crane")


def test_imagenet_names_are_in_the_order_of_the_outputs() -> None:
    names = list_imagenet_names()
    assert len(names) == 1000
    assert (names[0], names[281], names[340], names[999]) == ("tench", "tabby", "zebra", "toilet tissue")


def test_networks_without_a_list_get_numbers() -> None:
    assert name_outputs(3) == ("output 0", "output 1", "output 2")
    assert name_outputs(1000) == list_imagenet_names()


@pytest.mark.parametrize(
    ("wanted", "output"), [("tabby", 0), (" TABBY ", 0), ("4", 4), ("tiger", 2), ("siam", 4), ("tiger c", 1)]
)
def test_a_number_a_name_or_a_part_of_one(wanted: str, output: int) -> None:
    assert find_output(wanted, NAMES) == output


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("tabbi", "no class is called 'tabbi'. Did you mean: tabby"),
        ("cat", r"'cat' fits 2 classes \(1 tiger cat, 4 Siamese cat\): give a full name, or the number"),
        ("crane", r"'crane' fits 2 classes \(3 crane, 5 crane\)"),
        ("6", r"expected an output number in 0..5, but got 6"),
        ("", "no class is called ''"),
    ],
)
def test_words_that_mean_nothing_or_too_much(wanted: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_output(wanted, NAMES)


def test_many_fits_are_cut() -> None:
    with pytest.raises(ConfigError, match=r"fits 9 classes .* and 4 more"):
        find_output("a", [f"a{index}x" for index in range(9)])


def test_lists_of_classes() -> None:
    assert find_outputs("tiger, 4,tabby, tiger,", NAMES) == (2, 4, 0)
    with pytest.raises(ConfigError, match="expected names or numbers separated by commas, but got ' , '"):
        find_outputs(" , ", NAMES)
