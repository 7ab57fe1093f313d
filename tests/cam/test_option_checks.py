"""Options of methods that make no sense are refused by name."""

from __future__ import annotations

import pytest

from wsl.cam.method import build_method
from wsl.cam.option_checks import check_count, check_positive
from wsl.errors import ConfigError


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
        ("is_cam", "samples", 1.5),
        ("is_cam", "channels", -1),
        ("ablation_cam", "batch_size", 0),
        ("kpca_cam", "gamma", 0),
        ("fem", "deviations", -2),
    ],
)
def test_methods_check_their_options(method: str, option: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"cam.options.{option}: expected a .*number above 0, but got {value}"):
        build_method(method, **{option: value})
