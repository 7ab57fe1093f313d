"""Search spaces: what is written becomes ranges and choices, trials fill them evenly and are the same every time."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsl.config import load_config
from wsl.errors import ConfigError
from wsl.pipeline.label_maker import build_label_maker
from wsl.pipeline.tuning.default_spaces import REFINER_OPTIONS, default_dimensions, list_default_methods
from wsl.pipeline.tuning.space import (
    Choices,
    Range,
    Space,
    build_space,
    parse_search,
    parse_value,
    show_value,
    to_overrides,
)


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("refine.background=0.1..0.6", Range(0.1, 0.6)),
        ("refine.options.iterations=1..10", Range(1, 10)),
        ("refine.options.beta=1e-3..1:log", Range(1e-3, 1, log=True)),
        ("boxes.threshold=0.1,0.2", Choices((0.1, 0.2))),
        ("refine.options.unary=labels,scores", Choices(("labels", "scores"))),
        ("refine.options.dilations=[1,2],[1,2,4]", Choices(((1, 2), (1, 2, 4)))),
        ("seeds.foreground=0.3", Choices((0.3,))),
    ],
)
def test_what_is_written_is_read(text: str, dimension: Any) -> None:
    assert parse_search(text) == (text.split("=")[0], dimension)


@pytest.mark.parametrize(
    "text",
    ["refine.background", "refine.background=", "cam.scales=1,2", "evaluate.absent=skip,zero",
     "refine.method=none,pamr", "refine.background=0.5..0.1", "refine.background=0..1:log", "refine.background=a..b",
     "boxes.threshold=0.1..0.2:lin", "boxes.threshold=1,,2", "x=[1,2", "refine=1,2", "refine.background=0.1..0.2..0.3"],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="search"):
        parse_search(text)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 50), st.integers(1, 50), st.booleans())
def test_places_lie_in_the_range(share: float, low: int, width: int, log: bool) -> None:
    whole = Range(low, low + width, log).place(share)
    assert isinstance(whole, int)
    assert low <= whole <= low + width
    part = Range(float(low), low + width + 0.5, log).place(share)
    assert low * (1 - 1e-3) <= part <= (low + width + 0.5) * (1 + 1e-3)


def test_log_range_has_its_geometric_mean_in_the_middle() -> None:
    assert Range(1.0, 100.0, log=True).place(0.5) == 10.0
    assert Range(1.0, 3.0).place(0.5) == 2.0


@given(st.recursive(st.integers() | st.booleans() | st.none() | st.sampled_from(["labels", "irn"]),
                    lambda inner: st.lists(inner, min_size=1, max_size=3).map(tuple), max_leaves=4))  # fmt: skip
def test_values_are_read_as_they_are_shown(value: Any) -> None:
    assert parse_value(show_value(value)) == value


def test_trials_fill_every_quarter_and_grow_without_change() -> None:
    space = Space({"none": {"refine.background": Range(0.0, 1.0)}, "pamr": {"refine.background": Range(0.0, 1.0)}})
    trials = space.list_trials(16, seed=3)
    assert trials == space.list_trials(64, seed=3)[:16]
    assert trials != space.list_trials(16, seed=4)
    for method in ("none", "pamr"):
        places = [trial["refine.background"] for trial in trials if trial["refine.method"] == method]
        assert sorted(math.floor(4 * place) for place in places) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_small_space_ends() -> None:
    space = Space({"none": {"refine.background": Choices((0.1, 0.2, 0.3))}})
    assert len(space.list_trials(50, seed=0)) == 3
    assert len(Space({"none": {}}).list_trials(5, seed=0)) == 1


def test_options_go_with_the_refiners_that_have_them() -> None:
    space = build_space(["none", "pamr"], ["refine.background=0.1,0.2", "refine.options.iterations=1,2"], {})
    assert list(space.methods["none"]) == ["refine.background"]
    assert list(space.methods["pamr"]) == ["refine.background", "refine.options.iterations"]
    chain = build_space(["[pamr,dense_crf]"], ["refine.options.pamr.iterations=1,2"], {})
    assert list(chain.methods["[pamr,dense_crf]"]) == ["refine.options.pamr.iterations"]
    with pytest.raises(ConfigError, match="iterations"):
        build_space(["pamr"], ["refine.options.iteration=1,2"], {})
    with pytest.raises(ConfigError, match="twice"):
        build_space(["none"], ["refine.background=1,0", "refine.background=0,1"], {})
    with pytest.raises(ConfigError, match="pamr"):
        build_space(["pamrr"], ["refine.options.iterations=1,2"], {})


@pytest.mark.parametrize("rule", ["constant", "power"])
def test_default_spaces_hold_only_what_can_be_built(rule: str) -> None:
    for method in list_default_methods("none"):
        space = Space({method: default_dimensions(method, rule, rule)})
        for trial in space.list_trials(4, seed=0):
            base = [
                f"refine.background_rule={rule}",
                f"seeds.rule={rule}",
                "seeds.foreground=0.5",
                "seeds.background=0.5",
            ]
            config = load_config(None, [*base, *to_overrides(trial)])
            assert build_label_maker(config).background == config.refine.background
    assert REFINER_OPTIONS["none"] == {}
