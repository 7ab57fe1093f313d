"""Targets by hand-worked values, their gradients, and that each image is scored on its own."""

from __future__ import annotations

import math

import pytest
import torch

from wsl.cam.preset import CHOICES
from wsl.cam.targets import TARGETS, Difference, Logit, LogitAndLogProbability, Probability, Region, Target

OUTPUTS = torch.tensor([[1.0, 3.0, 0.0], [0.0, 0.0, math.log(2.0)]])


def values(target: Target) -> list[float]:
    return target(OUTPUTS).tolist()


def test_a_logit_is_the_output_and_a_group_its_log_sum_exp() -> None:
    assert values(Logit((1,))) == pytest.approx([3.0, 0.0])
    # log(e + e^3), log(1 + 1)
    assert values(Logit((0, 1))) == pytest.approx([3.126928, math.log(2)])


def test_a_probability_is_a_share_of_the_softmax() -> None:
    total = math.e + math.e**3 + 1
    assert values(Probability((1,))) == pytest.approx([math.e**3 / total, 0.25])
    assert values(Probability((0, 2))) == pytest.approx([(math.e + 1) / total, 0.75])


def test_logit_and_log_probability() -> None:
    # second image: logit log 2, probability 1 / 2; the group (0, 1): logit log 2, probability 1 / 2 too
    assert values(LogitAndLogProbability((2,)))[1] == pytest.approx(math.log(2) + math.log(0.5))
    assert values(LogitAndLogProbability((0, 1)))[1] == pytest.approx(math.log(2) + math.log(0.5))
    total = math.e + math.e**3 + 1
    assert values(LogitAndLogProbability((1,)))[0] == pytest.approx(3 + math.log(math.e**3 / total), abs=1e-5)


def test_a_difference_takes_the_mean_of_the_others() -> None:
    others = (Logit((0,)), Logit((2,)))
    assert values(Difference(Logit((1,)), others)) == pytest.approx([3 - 0.5, -math.log(2) / 2])
    assert values(Difference(Logit((1,)), others, weight=0.5)) == pytest.approx([3 - 0.25, -math.log(2) / 4])
    assert values(Difference(Logit((1,)), ())) == values(Logit((1,)))


def test_a_region_adds_one_output_over_its_pixels() -> None:
    outputs = torch.arange(24.0).reshape(2, 2, 2, 3)
    mask = torch.tensor([[True, False, False], [False, False, True]])
    assert Region(1, mask)(outputs).tolist() == [6.0 + 11.0, 18.0 + 23.0]


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_every_named_target_is_differentiable_and_scores_images_alone(name: str) -> None:
    outputs = OUTPUTS.clone().requires_grad_()
    scores = TARGETS[name]((0, 2))(outputs)
    assert scores.shape == (2,)
    (slope,) = torch.autograd.grad(scores[0], outputs)
    assert slope[0].abs().max() > 0.05
    assert not slope[1].any()


def test_presets_know_the_same_names() -> None:
    assert set(CHOICES["target"]) == set(TARGETS)
