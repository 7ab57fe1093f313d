from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from wsl.models import build_classifier
from wsl.train import TrainSettings
from wsl.train.losses import build_loss
from wsl.train.optimizer import build_optimizer, compute_learning_rate_factor, freeze_batch_norm, set_learning_rate
from wsl.train.targets import compute_class_weights


@pytest.mark.parametrize(
    ("step", "warmup", "schedule", "factor"),
    [
        (0, 0, "cosine", 1.0),
        (5, 0, "cosine", 0.5),
        (0, 4, "cosine", 1 / 5),
        (3, 4, "cosine", 4 / 5),
        (4, 4, "cosine", 1.0),
        (7, 4, "cosine", 0.5),
        (0, 0, "poly", 1.0),
        (5, 0, "poly", 0.5**0.9),
        (9, 0, "poly", 0.1**0.9),
    ],
)
def test_learning_rate_by_hand(step: int, warmup: int, schedule: str, factor: float) -> None:
    assert compute_learning_rate_factor(step, 10, warmup, schedule) == pytest.approx(factor)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 50), st.floats(0, 80), st.sampled_from(["cosine", "poly"]))
def test_learning_rate_rises_then_falls_and_stays_positive(total: int, warmup: float, schedule: str) -> None:
    factors = [compute_learning_rate_factor(step, total, warmup, schedule) for step in range(total)]
    top = factors.index(max(factors))
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


def test_groups_decay_matrices_only_and_speed_up_the_head() -> None:
    classifier, _ = build_classifier("small_cnn", num_outputs=2, output_stride=8)
    chosen = TrainSettings(learning_rate=0.1, head_learning_rate_factor=10, weight_decay=0.01)
    optimizer = build_optimizer(classifier, chosen)
    by_parameter = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(by_parameter) == len(list(classifier.parameters()))
    for name, parameter in classifier.net.named_parameters():
        group = by_parameter[id(parameter)]
        assert group["base_lr"] == pytest.approx(1.0 if name.startswith("head") else 0.1)
        assert group["weight_decay"] == (0.01 if name.endswith("weight") and parameter.ndim > 1 else 0)
    set_learning_rate(optimizer, 0.5)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.05, 0.5])


def test_sgd_has_the_momentum_of_the_settings() -> None:
    classifier, _ = build_classifier("small_cnn", num_outputs=2, output_stride=8)
    optimizer = build_optimizer(classifier, TrainSettings(optimizer="sgd", momentum=0.3))
    assert isinstance(optimizer, torch.optim.SGD)
    assert {group["momentum"] for group in optimizer.param_groups} == {0.3}


def test_frozen_batch_norm_does_not_move() -> None:
    classifier, _ = build_classifier("small_cnn", num_outputs=2, output_stride=8)
    classifier.train()
    freeze_batch_norm(classifier)
    optimizer = build_optimizer(classifier, TrainSettings(learning_rate=0.1))
    norms = [module for module in classifier.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [value.clone() for norm in norms for value in norm.state_dict().values()]
    moving = classifier.net.head.weight.clone()
    classifier(torch.randn(4, 3, 32, 32)).square().sum().backward()
    optimizer.step()
    assert all(
        torch.equal(a, b) for a, b in zip(before, (v for n in norms for v in n.state_dict().values()), strict=True)
    )
    assert not torch.equal(moving, classifier.net.head.weight)


def test_single_label_loss_by_hand() -> None:
    logits, targets = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    loss = build_loss(targets.numpy(), TrainSettings(label_smoothing=0.2), torch.device("cpu"))
    nats = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))]
    assert float(loss(logits, targets)) == pytest.approx(0.9 * nats[0] + 0.1 * nats[1])


def test_multi_label_loss_by_hand() -> None:
    logits, targets = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]])
    loss = build_loss(targets.numpy(), TrainSettings(label_mode="multi"), torch.device("cpu"))
    assert float(loss(logits, targets)) == pytest.approx((math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-1))) / 2)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_class_weights_enter_the_loss(mode: str) -> None:
    everything = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    logits = torch.tensor([[1.0, -1.0], [0.5, 0.2], [0.0, 0.0], [0.3, 0.4]])
    loss = build_loss(everything.numpy(), TrainSettings(label_mode=mode, class_balance="weights"), torch.device("cpu"))
    weights = torch.from_numpy(compute_class_weights(everything.numpy(), mode))
    if mode == "single":
        each = -logits.log_softmax(1)[everything.bool()]
        per_image = weights[everything.argmax(1)]
        expected = (each * per_image).sum() / per_image.sum()
    else:
        p = logits.sigmoid()
        expected = -(weights * everything * p.log() + (1 - everything) * (1 - p).log()).mean()
    torch.testing.assert_close(loss(logits, everything), expected)
