"""What one forward pass leaves behind, against the network's own numbers and autograd on the whole network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.oracles.cam_gradient_methods import maps_of, normal
from tests.oracles.cam_networks import (
    FlatNet,
    PairNet,
    PooledNet,
    TwiceNet,
    build_tiny_vit,
    check_same_state,
    describe_state,
    seeded,
)
from wsl.cam import trace as trace_module
from wsl.cam.targets import Logit, LogitAndLogProbability, Probability, Region, Target
from wsl.cam.trace import Trace
from wsl.errors import ConfigError, ModelError
from wsl.models import build_classifier
from wsl.models.classifier import Classifier

GRADIENTS = frozenset({"gradients"})
TARGETS: list[list[Target]] = [[Logit((2,)), Logit((0, 1))], [], [Probability((1,))]]


def test_logits_activations_and_raw_outputs() -> None:
    model, x = seeded(PooledNet()), normal(2, 3, 13, 22)
    trace = Trace(model, x, (None, "net.stem.1"))
    assert torch.equal(trace.logits, model(x).detach())
    assert trace.size == (13, 22)
    assert trace.layers == (None, "net.stem.1")
    torch.testing.assert_close(trace.activation(None), model.features(x).detach())
    torch.testing.assert_close(trace.activation("net.stem.1"), model.net["stem"][1](model.net["stem"][0](x)).detach())
    for layer in (None, "net.stem.1"):
        assert torch.equal(trace.raw(layer), trace.activation(layer))
        assert not trace.raw(layer).requires_grad
        assert trace.channel_axis(layer) == 1


def test_no_layer_is_the_default_one_where_nothing_is_pooled() -> None:
    model, x = seeded(FlatNet()), normal(1, 3, 8, 8)
    trace = Trace(model, x)
    assert trace.layers == ("net.target",)
    torch.testing.assert_close(trace.activation(None), trace.activation("net.target"))


def test_the_layer_that_a_pooled_head_averages_costs_no_backward_pass() -> None:
    trace = Trace(seeded(PooledNet()), normal(1, 3, 13, 22), ("net.body", "net.body.2"), GRADIENTS)
    assert trace.resolve("net.body") is None
    assert trace.resolve("net.body.2") == "net.body.2"
    targets = [[Logit((1,))]]
    (pooled,), (named,) = trace.gradients("net.body", targets), trace.gradients("net.body.2", targets)
    assert pooled.stride()[2:] == (0, 0)
    torch.testing.assert_close(pooled, named, rtol=1e-4, atol=1e-7)


def test_tokens_become_maps() -> None:
    model, x = seeded(build_tiny_vit()), normal(1, 3, 16, 24)
    trace = Trace(model, x)
    assert trace.raw(None).shape == (1, 7, 12)
    assert trace.activation(None).shape == (1, 12, 2, 3)
    assert trace.channel_axis(None) == 2
    assert torch.equal(trace.activation(None)[0, :, 1, 2], trace.raw(None)[0, 6])


def test_maps_with_channels_last_become_maps() -> None:
    model = build_classifier("swin_t", num_outputs=3)[0].eval()
    trace = Trace(model, normal(1, 3, 64, 96), ("net.features.1", None))
    assert trace.raw("net.features.1").shape == (1, 16, 24, 96)
    assert trace.activation("net.features.1").shape == (1, 96, 16, 24)
    assert (trace.channel_axis("net.features.1"), trace.channel_axis(None)) == (3, 1)


def slopes_by_autograd(model: Classifier, x: Tensor, layer: str, target: Target) -> Tensor:
    """On the whole network, of one image, with nothing in place."""
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    seen: list[Tensor] = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: seen.append(output))
    outputs = model(x)
    handle.remove()
    return torch.autograd.grad(target(outputs)[0], seen[0])[0][0]


@pytest.mark.parametrize("layer", ["net.stem.0", "net.stem.1", "net.body.1", "net.body.2", None])
@pytest.mark.parametrize("after", [None, nn.LayerNorm(5)])
def test_gradients_equal_autograd_on_the_whole_network(layer: str | None, after: nn.Module | None) -> None:
    x = normal(3, 3, 13, 22)
    found = Trace(seeded(PooledNet(after)), x, (layer,), GRADIENTS).gradients(layer, TARGETS)
    assert [len(each) for each in found] == [2, 0, 1]
    model = seeded(PooledNet(after))
    for row, each in enumerate(TARGETS):
        for k, target in enumerate(each):
            expected = slopes_by_autograd(model, x[row : row + 1], layer or "net.body", target)
            torch.testing.assert_close(found[row][k], expected, rtol=1e-4, atol=1e-6)


def test_gradients_of_tokens_leave_the_class_token_out() -> None:
    model, x = seeded(build_tiny_vit()), normal(1, 3, 16, 24)
    (found,) = Trace(model, x, needs=GRADIENTS).gradients(None, [[Logit((1,))]])
    expected = slopes_by_autograd(model, x, model.default_layer, Logit((1,)))
    torch.testing.assert_close(found[0], expected[1:].T.reshape(12, 2, 3), rtol=1e-4, atol=1e-6)


def test_several_layers_share_one_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(outputs: Tensor, wanted: Any, targets: Any, *more: Any) -> Any:
        calls.append(len(wanted))
        return differentiate(outputs, wanted, targets, *more)

    differentiate = trace_module.differentiate
    monkeypatch.setattr(trace_module, "differentiate", counted)
    model, x = seeded(PooledNet()), normal(3, 3, 13, 22)
    trace = Trace(model, x, ("net.stem.1", "net.body.1"), GRADIENTS)
    both = [trace.gradients(layer, TARGETS) for layer in ("net.stem.1", "net.body.1")]
    assert calls == [2]
    for layer, found in zip(("net.stem.1", "net.body.1"), both, strict=True):
        alone = Trace(model, x, (layer,), GRADIENTS).gradients(layer, TARGETS)
        for ours, other in zip(found, alone, strict=True):
            torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-7)
    others = [[Logit((3,))], [], []]
    assert not torch.allclose(
        trace.gradients("net.stem.1", others)[0][0], both[0][0][0]
    )  # other targets, other numbers


@pytest.mark.parametrize("after", [None, nn.Sequential(nn.Linear(5, 5), nn.Tanh())])
def test_hessian_products_of_the_pooled_vector_equal_those_of_the_map(after: nn.Module | None) -> None:
    model, x = seeded(PooledNet(after)), normal(3, 3, 13, 22)
    targets = [[LogitAndLogProbability((2,)), Logit((0, 1))], [], [Probability((1,))]]
    trace = Trace(model, x, (None, "net.body.2"), frozenset({"gradients", "hessian"}))
    pooled, named = trace.hessian_products(None, targets), trace.hessian_products("net.body.2", targets)
    assert [len(each) for each in pooled] == [2, 0, 1]
    assert pooled[0].abs().max() > 1e-4
    for ours, other in zip(pooled, named, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-3, atol=1e-6)


class SegmentationNet(FlatNet):
    """Outputs (B, O, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.net["head"] = nn.Conv2d(3, 4, 3, 1, 1)

    def tail(self, activation: Tensor) -> Tensor:
        return self.net["head"](self.net["inplace"](activation))


def test_a_region_of_a_segmentation_network() -> None:
    model, x = seeded(SegmentationNet()), normal(2, 3, 14, 10)
    mask = torch.zeros(7, 5, dtype=torch.bool)
    mask[2, 3] = True
    trace = Trace(model, x, needs=GRADIENTS)
    assert trace.logits.shape == (2, 4, 7, 5)
    found = trace.gradients(None, [[Region(1, mask)], [Region(0, mask), Region(3, mask)]])
    assert [len(each) for each in found] == [1, 2]
    reached = torch.zeros(7, 5, dtype=torch.bool)
    reached[1:4, 2:5] = True
    assert found[0].any()
    assert not found[0][:, :, ~reached].any()  # a 3x3 head sees no further
    expected = slopes_by_autograd(model, x[:1], "net.target", Region(1, mask))
    torch.testing.assert_close(found[0][0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layer", [None, "net.stem.1", "net.body.2"])
def test_the_head_alone_gives_the_logits(layer: str | None) -> None:
    model, x = seeded(PooledNet()), normal(3, 3, 13, 22)
    trace = Trace(model, x, (layer,), frozenset({"head"}))
    raw = trace.raw(layer)[2:]
    outputs = trace.run_head(layer, torch.cat([raw, raw * 2]), 2)
    torch.testing.assert_close(outputs[0], trace.logits[2], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(outputs[1], outputs[0])
    assert not outputs.requires_grad


def test_a_head_that_was_not_recorded_is_named() -> None:
    trace = Trace(seeded(PooledNet()), normal(1, 3, 13, 22), ("net.stem",))
    with pytest.raises(ModelError, match=r"layer 'net\.stem': the head alone was not recorded"):
        trace.run_head("net.stem", trace.raw("net.stem"), 0)


def test_predictions_and_recordings_of_other_images() -> None:
    model, x = seeded(PooledNet()), normal(2, 3, 13, 22)
    trace = Trace(model, x, ("net.stem.1",), GRADIENTS)
    other = normal(1, 3, 9, 9, seed=8)
    assert torch.equal(trace.predict(other), model(other).detach())
    again = trace.again(other)
    assert again.layers == trace.layers
    assert torch.equal(again.logits, model(other).detach())
    assert again.gradients("net.stem.1", [[Logit((1,))]])[0].shape == (1, 4, 5, 5)


def test_lower_precision_for_the_forward_pass_only() -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 13, 22)
    half = Trace(model, x, ("net.stem.1", None), GRADIENTS, lambda: torch.autocast("cpu", torch.bfloat16))
    full = Trace(model, x, ("net.stem.1", None), GRADIENTS)
    assert half.raw("net.stem.1").dtype == torch.bfloat16
    for layer in ("net.stem.1", None):
        assert half.activation(layer).dtype == torch.float32
        (ours,), (other,) = half.gradients(layer, [[Logit((1,))]]), full.gradients(layer, [[Logit((1,))]])
        assert ours.dtype == torch.float32
        assert not torch.equal(half.activation(layer), full.activation(layer))
        assert torch.corrcoef(torch.stack([ours.flatten(), other.flatten()]))[0, 1] > 0.99


@pytest.mark.parametrize("build", [PooledNet, FlatNet, build_tiny_vit])
def test_slots_and_batches_do_not_mix(build: Any) -> None:
    model, x = seeded(build()), normal(3, 3, 8, 8)
    together = maps_of("grad_cam", model, x, TARGETS)
    assert [len(maps) for maps in together] == [2, 0, 1]
    for row in range(3):
        (alone,) = maps_of("grad_cam", model, x[row : row + 1], TARGETS[row : row + 1])
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-6)


def test_a_wrong_number_of_targets_is_refused() -> None:
    trace = Trace(seeded(PooledNet()), normal(3, 3, 13, 22), (None, "net.stem"), GRADIENTS)
    for layer in (None, "net.stem"):
        with pytest.raises(ConfigError, match="targets: expected one list per image, 3, but got 1"):
            trace.gradients(layer, [[Logit((1,))]])


@pytest.mark.parametrize("needs", [GRADIENTS, frozenset({"head"}), frozenset({"bias_gradients"})])
def test_the_network_is_left_as_it_was(needs: frozenset[str]) -> None:
    model, x = seeded(FlatNet()), normal(1, 3, 8, 8)
    model.net["head"].weight.grad = torch.ones_like(model.net["head"].weight)
    before = describe_state(model)
    Trace(model, x, (None,), needs)
    with pytest.raises(RuntimeError):
        Trace(model, normal(1, 3, 30, 30), (None,), needs)  # the flat head wants another size
    check_same_state(before, describe_state(model))
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("build", "layer", "message"),
    [
        (PooledNet, "net.bodi", r"pooled_net has no layer 'net.bodi'. Did you mean: net.body\?"),
        (PooledNet, "net.unused", "layer 'net.unused' is not on the way from the image to the class scores"),
        (TwiceNet, "net.body.2", "layer 'net.body.2' runs more than once in a forward pass; choose another"),
        (PairNet, "net.pair", "layer 'net.pair' gives a tuple, not a map; choose another"),
        (PooledNet, "net.head", r"expected a layer with output \(B, C, h, w\), but got shape \(1, 6\)"),
    ],
)
def test_layers_that_cannot_be_used_are_named(build: type[Classifier], layer: str, message: str) -> None:
    model = seeded(build())
    before = describe_state(model)
    with pytest.raises(ModelError, match=message):
        Trace(model, normal(1, 3, 13, 22), (layer,), GRADIENTS).gradients(layer, [[Logit((0,))]])
    check_same_state(before, describe_state(model))
    assert torch.is_grad_enabled()


def test_parameters_take_no_part() -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 13, 22)
    trace = Trace(model, x, ("net.stem.1",), GRADIENTS)
    trace.gradients("net.stem.1", [[Logit((1,))]])
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not trace.logits.requires_grad
