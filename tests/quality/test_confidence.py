"""The rule, the judgement of an image, and its reasons in words."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.quality.test_signals import make_evidence
from wsl.quality.confidence import RULE, compute_confidence, judge_image
from wsl.quality.reasons import LOW, describe, find_reasons
from wsl.quality.signals import NAMES, Signals
from wsl.types import ClassSet

GOOD = Signals(**{each.name: 0.8 for each in fields(Signals)})
CLASSES = ClassSet(("dent", "crack", "hole"))
UNIT = st.floats(0, 1)


@given(st.lists(UNIT, min_size=len(RULE), max_size=len(RULE)), st.integers(0, len(RULE) - 1), UNIT)
def test_confidence_is_the_geometric_mean_and_rises_with_each_signal(
    values: list[float], place: int, other: float
) -> None:
    signals = replace(GOOD, area=0.25, **dict(zip(RULE, values, strict=True)))
    found = compute_confidence(signals)
    assert found == pytest.approx((0.5 * math.prod(values)) ** (1 / (1 + len(values))), abs=1e-9)
    assert compute_confidence(replace(signals, area=0.36)) >= found
    higher = replace(signals, **{RULE[place]: max(values[place], other)})
    assert compute_confidence(higher) >= found - 1e-12


def test_unknown_signals_do_not_count_and_no_region_is_no_confidence() -> None:
    good = replace(GOOD, area=0.64)
    assert compute_confidence(good) == pytest.approx(0.8)
    assert compute_confidence(replace(good, **{RULE[0]: math.nan})) == pytest.approx(0.8)
    assert compute_confidence(replace(GOOD, area=0.0)) == 0.0
    assert compute_confidence(Signals(area=0.5)) == 0.0


def test_signals_that_are_not_in_the_rule_do_not_matter() -> None:
    others = {name: 0.1 for name in NAMES if name not in (*RULE, "area")}
    assert compute_confidence(replace(GOOD, **others)) == pytest.approx(compute_confidence(GOOD))


def test_an_image_is_judged_by_the_mean_of_its_classes() -> None:
    evidence = make_evidence(3, (6, 7))
    judged = judge_image(evidence, (2, 9))
    assert [each.class_id for each in judged.classes] == [2, 3, 9]
    assert judged.classes[2].confidence == 0.0
    assert judged.confidence == pytest.approx(sum(each.confidence for each in judged.classes) / 3)
    assert [each.class_id for each in judged.regions] == sorted(each.class_id for each in judged.regions)
    assert all(0 <= each.confidence <= 1 for each in judged.regions)
    assert judge_image(evidence).classes == judge_image(evidence, (2, 3)).classes


def test_an_image_without_classes_has_nothing_to_get_wrong() -> None:
    evidence = replace(make_evidence(0, (4, 4), classes=0), label_map=np.zeros((4, 4), np.uint8), levels=())
    judged = judge_image(evidence, ())
    assert (judged.confidence, judged.classes, judged.regions) == (1.0, (), ())
    assert judge_image(evidence, (1,)).confidence == 0.0


@pytest.mark.parametrize("name", sorted(LOW))
def test_each_low_signal_has_its_words(name: str) -> None:
    assert find_reasons(replace(GOOD, **{name: LOW[name][0] / 2})) == [LOW[name][1]]
    assert find_reasons(replace(GOOD, **{name: math.nan})) == []


def test_reasons_are_the_worst_first_and_not_too_many() -> None:
    low = replace(GOOD, scale_agreement=0.3, probability=0.001, area=0.002, margin=0.049)
    assert find_reasons(low) == ["low class probability", "tiny region", "scales disagree"]
    assert find_reasons(low, most=1) == ["low class probability"]
    assert find_reasons(replace(GOOD, area=0.0)) == ["no region"]
    assert find_reasons(replace(GOOD, area=0.95)) == ["region fills the image"]


def test_the_least_trusted_class_is_told_first() -> None:
    evidence = make_evidence(3, (6, 7))
    first, second = judge_image(evidence, (2, 3)).classes
    poor = replace(first, confidence=0.1, signals=replace(GOOD, scale_agreement=0.2))
    poorer = replace(second, confidence=0.0, signals=Signals(area=0.0))
    good = replace(first, class_id=1, confidence=0.05, signals=GOOD)
    assert describe([poor, poorer, good], CLASSES) == "hole: no region; crack: scales disagree"
    assert describe([good], CLASSES) == "less certain than others"
