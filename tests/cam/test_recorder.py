"""Hooks that keep outputs, survive in-place layers, and leave with the call."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.oracles.cam_gradient_methods import normal
from tests.oracles.cam_networks import (
    FlatNet,
    PairNet,
    PooledNet,
    TwiceNet,
    check_same_state,
    describe_state,
    seeded,
)
from wsl.cam.recorder import BiasRecorder, LayerRecorder
from wsl.cam.targets import Logit
from wsl.cam.trace import Trace
from wsl.errors import ModelError
from wsl.models.classifier import Classifier
from wsl.models.wrap import wrap_network

X = normal(2, 3, 13, 22)


def test_outputs_are_kept_from_in_place_layers() -> None:
    model = seeded(PooledNet())
    with torch.no_grad(), LayerRecorder(model, ["net.stem.1", "net.body"], graph=False, from_start=False) as recorder:
        outputs = model(X)
    expected = model.net["stem"][1](model.net["stem"][0](X))
    assert (expected < 0).any()
    torch.testing.assert_close(recorder.outputs["net.stem.1"], expected.detach())
    torch.testing.assert_close(recorder.outputs["net.body"], model.features(X).detach())
    torch.testing.assert_close(outputs, model(X).detach())
    assert not outputs.requires_grad


def test_the_graph_starts_at_the_first_layer() -> None:
    model = seeded(PooledNet()).requires_grad_(False)
    with torch.no_grad(), LayerRecorder(model, ["net.stem.1", "net.body.1"], graph=True, from_start=False) as recorder:
        outputs = model(X)
    first, second = (recorder.outputs[name] for name in ("net.stem.1", "net.body.1"))
    assert first.is_leaf
    assert second.requires_grad
    assert not second.is_leaf
    slopes = torch.autograd.grad(outputs[:, 1].sum(), [first, second])
    assert all(each.any() for each in slopes)
    with LayerRecorder(model, ["net.stem.1"], graph=True, from_start=True) as recorder:
        model(X.clone().requires_grad_())
    assert not recorder.outputs["net.stem.1"].is_leaf


@pytest.mark.parametrize(
    ("build", "layer", "message"),
    [
        (PooledNet, "net.bodi", r"pooled_net has no layer 'net.bodi'. Did you mean: net.body\?"),
        (TwiceNet, "net.body.2", "layer 'net.body.2' runs more than once in a forward pass; choose another"),
        (PairNet, "net.pair", "layer 'net.pair' gives a tuple, not a map; choose another"),
        (PooledNet, "net.unused", "layer 'net.unused' is not on the way from the image to the class scores"),
    ],
)
def test_layers_that_cannot_be_used_are_named(build: type[Classifier], layer: str, message: str) -> None:
    model = seeded(build())
    before = describe_state(model)
    with pytest.raises(ModelError, match=message), LayerRecorder(model, [layer], True, False) as recorder:
        recorder.check(model(X))
    check_same_state(before, describe_state(model))


def test_the_whole_network_is_no_layer_to_choose() -> None:
    model = seeded(PooledNet())
    with pytest.raises(ModelError, match=r"has no layer 'xyz'\. Known: net, net\.after,"):
        LayerRecorder(model, ["xyz"], graph=False, from_start=False)
    with pytest.raises(ModelError, match="has no layer ''"):
        LayerRecorder(model, [""], graph=False, from_start=False)


def build_plain() -> nn.Sequential:
    first, second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 5, 3, 2, 1)
    return seeded(nn.Sequential(first, nn.ReLU(), second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2)))


@pytest.mark.parametrize(
    ("layer", "message"),
    [("net.5", r"expected a layer with a map \(B, C, h, w\), but got \(2, 2\); choose one before the pooling"),
     ("net.3", "layer 'net.3' is not on the way from .* scores, or lies behind the pooling: choose a layer before it")],
)  # fmt: skip
@pytest.mark.parametrize("needs", [{"activations"}, {"gradients"}, {"gradients", "head"}])
def test_layers_behind_the_pooling_are_named(layer: str, message: str, needs: set[str]) -> None:
    net = build_plain().train()
    before = describe_state(net)
    with torch.no_grad(), pytest.raises(ModelError, match=message):
        Trace(wrap_network(net), X, (layer,), frozenset(needs)).activation(layer)
    check_same_state(before, describe_state(net))


def test_a_stopped_forward_records_like_a_whole_one() -> None:
    """Gradients, biases and the head alone, of the pooled layer itself and of one before it."""
    net = build_plain().requires_grad_(False)
    model, targets = wrap_network(net), [[Logit((1,))], [Logit((0,))]]
    leaf = net[1](net[0](X)).requires_grad_()
    outputs = net[2:](leaf)
    expected = torch.autograd.grad(outputs[0, 1] + outputs[1, 0], leaf)[0]
    with torch.no_grad():
        trace = Trace(model, X, ("net.1", None), frozenset({"gradients", "head"}))
        assert not torch.is_grad_enabled()
    torch.testing.assert_close(torch.cat(trace.gradients("net.1", targets)), expected)
    torch.testing.assert_close(trace.raw(None), net[2](leaf).detach())
    torch.testing.assert_close(trace.run_head("net.1", trace.raw("net.1")[1:], 1), outputs[1:].detach())
    torch.testing.assert_close(trace.logits, outputs.detach())
    biases = Trace(model, X, (None,), frozenset({"bias_gradients"})).biases.calls
    assert [module for module, _ in biases] == [net[0], net[2], net[5]]  # each of them once


class CutNet(FlatNet):
    """Its layer "target" runs, but the scores come from elsewhere."""

    def tail(self, activation: torch.Tensor) -> torch.Tensor:
        return super().tail(torch.ones_like(activation).detach())


def test_a_layer_that_the_scores_do_not_depend_on_is_named() -> None:
    model = seeded(CutNet()).requires_grad_(False)
    with (
        torch.no_grad(),
        pytest.raises(ModelError, match=r"layer 'net\.target' is not on the way from the image"),
        LayerRecorder(model, ["net.target"], graph=True, from_start=False) as recorder,
    ):
        recorder.check(model(normal(1, 3, 8, 8)))


def test_everything_that_adds_a_bias_is_kept_in_order() -> None:
    model = seeded(PooledNet())
    with torch.no_grad(), BiasRecorder(model, active=True) as recorder:
        outputs = model(X)
    stem, body, head = model.net["stem"], model.net["body"], model.net["head"]
    assert [module for module, _ in recorder.calls] == [stem[0], stem[1], body[0], body[1], head]
    convolution = stem[0](X).detach()
    torch.testing.assert_close(recorder.calls[0][1], convolution)
    torch.testing.assert_close(recorder.calls[1][1], stem[1](convolution).detach())  # before the in-place ReLU
    torch.testing.assert_close(recorder.calls[-1][1], outputs)
    assert not any(module._forward_hooks for module in model.modules())


def test_nothing_is_kept_unless_asked_for() -> None:
    model = seeded(PooledNet())
    with BiasRecorder(model, active=False) as recorder:
        assert not any(module._forward_hooks for module in model.modules())
        model(X)
    assert recorder.calls == []


def test_hooks_leave_when_the_network_fails() -> None:
    model = seeded(FlatNet())
    wrong = normal(1, 3, 20, 20)  # the flat head wants another size
    with pytest.raises(RuntimeError), BiasRecorder(model, True), LayerRecorder(model, ["net.target"], True, False):
        model(wrong)
    assert not any(module._forward_hooks for module in model.modules())
    assert isinstance(model.net["head"], nn.Linear)
