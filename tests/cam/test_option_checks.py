"""Options of methods that make no sense are refused by name."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from wsl.cam.method import METHODS, build_method, list_methods
from wsl.cam.option_checks import check_count, check_positive, check_types
from wsl.errors import ConfigError

FIELDS = [(name, each) for name in list_methods() for each in dataclasses.fields(METHODS.get(name))]  # type: ignore[arg-type]
NUMBERS: list[Any] = ["abc", [1], True, float("nan"), float("inf"), -float("inf")]
BAD: dict[str, tuple[str, list[Any]]] = {
    "bool": ("true or false", ["false", 0, 1.0, None]),
    "int": ("a whole number", [*NUMBERS, 2.5, 2.0, None]),
    "float": ("a finite number", [*NUMBERS, {}, None]),
    "str": ("a text", [["mean"], 1, None]),
    "int | None": ("a whole number or null", [*NUMBERS, 2.5]),
    "float | None": ("a finite number or null", NUMBERS),
}


def test_methods_have_options_of_all_these_types() -> None:
    assert {field.type for _, field in FIELDS} == set(BAD)


@pytest.mark.parametrize(("name", "field"), FIELDS, ids=[f"{name}.{field.name}" for name, field in FIELDS])
def test_every_option_of_every_method_is_checked_for_its_type(name: str, field: dataclasses.Field[Any]) -> None:
    words, values = BAD[str(field.type)]
    for value in values:
        said = re.escape(f"cam.method={name}: expected {field.name} to be {words}, but got {value!r}.")
        with pytest.raises(ConfigError, match=said):
            build_method(name, **{field.name: value})
    build_method(name, **{field.name: field.default})


def test_whole_numbers_are_numbers() -> None:
    assert build_method("fem", deviations=3) == build_method("fem", deviations=3.0)
    assert build_method("score_cam", channels=None) == build_method("score_cam")


def test_options_of_other_types_are_the_method_s_own_to_check() -> None:
    @dataclasses.dataclass
    class Mine:
        sides: tuple[int, ...] = ()

    check_types("mine", Mine, {"sides": "abc"})


@pytest.mark.parametrize("value", [0, -3, 2.0, True, "4"])
def test_counts_are_whole_numbers_above_zero(value: object) -> None:
    with pytest.raises(ConfigError, match=r"cam.options.samples: expected a whole number above 0, but got"):
        check_count(value, "samples")  # type: ignore[arg-type]
    check_count(1, "samples")


@pytest.mark.parametrize("value", [0, -0.5, float("nan"), True, "4"])
def test_amounts_are_numbers_above_zero(value: object) -> None:
    with pytest.raises(ConfigError, match=r"cam.options.sigma: expected a number above 0, but got"):
        check_positive(value, "sigma")  # type: ignore[arg-type]
    check_positive(1e-9, "sigma")


@pytest.mark.parametrize(
    ("method", "option", "value"),
    [
        ("score_cam", "batch_size", 0),
        ("score_cam", "channels", 0),
        ("ss_cam", "samples", 0),
        ("ss_cam", "sigma", 0),
        ("ss_cam", "batch_size", 0),
        ("is_cam", "samples", -2),
        ("is_cam", "channels", -1),
        ("ablation_cam", "batch_size", 0),
        ("kpca_cam", "gamma", 0),
        ("fem", "deviations", -2),
    ],
)
def test_methods_check_their_options(method: str, option: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"cam.options.{option}: expected a .*number above 0, but got {value}"):
        build_method(method, **{option: value})
