"""What mattered: values worked by hand."""

from __future__ import annotations

import pytest

from wsl.pipeline.tuning.importance import compute_importance
from wsl.pipeline.tuning.trials import Outcome


def make(settings: dict, value: float | None) -> Outcome:
    return Outcome(settings, 10, value, 0.0)


def test_choices_by_hand() -> None:
    """Bins (1, 2) and (5, 6): means 1.5 and 5.5; within 1, total 17; 1 - (1 / 2) / (17 / 3)."""
    outcomes = [make({"a": kind}, value) for kind, value in (("x", 1.0), ("x", 2.0), ("y", 5.0), ("y", 6.0))]
    (found,) = compute_importance([*outcomes, make({"a": "x"}, None), make({}, 3.0)])
    assert (found.key, found.span) == ("a", 4.0)
    assert found.bins == (("x", 1.5, 2), ("y", 5.5, 2))
    assert found.share == pytest.approx(1 - 0.5 / (17 / 3))


def test_numbers_are_cut_in_quarters_and_the_widest_span_is_first() -> None:
    outcomes = [
        make({"strong": number, "weak": (number * 5) % 8, "same": 1}, float(number // 2)) for number in range(8)
    ]
    first, second = compute_importance(outcomes)
    assert (first.key, second.key) == ("strong", "weak")
    assert [(mean, count) for _, mean, count in first.bins] == [(0.0, 2), (1.0, 2), (2.0, 2), (3.0, 2)]
    assert first.share == 1
    assert 0 <= second.share < first.share


def test_an_option_is_judged_on_its_refiners_trials() -> None:
    outcomes = [make({"method": "p", "p.n": number % 2}, 1.0 + number % 2) for number in range(4)]
    outcomes += [make({"method": "q"}, 9.0) for _ in range(4)]
    by_key = {each.key: each for each in compute_importance(outcomes)}
    assert by_key["p.n"].span == 1
    assert by_key["method"].span == 7.5


def test_too_few_trials_say_nothing() -> None:
    assert compute_importance([make({"a": number}, 1.0) for number in range(3)]) == []
    assert compute_importance([]) == []
