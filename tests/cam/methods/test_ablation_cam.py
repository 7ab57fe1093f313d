"""Ablation-CAM by head runs, by the pooled vector and in closed form, all against loops over whole networks."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from tests.oracles.cam_masked import ablation_cam, activation_of, flat_net, logits_of, run_method
from tests.oracles.cam_networks import (
    FlatNet,
    PooledNet,
    build_tiny_vit,
    check_same_state,
    describe_state,
    seeded,
)
from wsl.cam.method import build_method
from wsl.cam.targets import Difference, Logit, Probability, Target
from wsl.cam.trace import Trace
from wsl.models.classifier import Classifier


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


def score_of(tail: Callable[[torch.Tensor], torch.Tensor], target: Target) -> Callable[[np.ndarray], float]:
    def score(activation: np.ndarray) -> float:
        with torch.no_grad():
            return float(target(tail(torch.from_numpy(activation.copy())[None]))[0])

    return score


TARGETS: list[Target] = [Logit((1,)), Logit((0, 3)), Probability((2,)), Difference(Logit((1,)), (Logit((2,)),))]


def test_equals_the_loop_with_an_in_place_layer_behind() -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    (found,) = run_method("ablation_cam", model, x, [TARGETS], batch_size=4)
    double, activation = copy.deepcopy(model).double(), activation_of(model, x)
    assert (activation < 0).any()
    for row, target in enumerate(TARGETS):
        expected = ablation_cam(activation, score_of(double.tail, target))
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("after", [None, nn.LayerNorm(5)])
def test_pooled_heads_equal_the_loop(after: nn.Module | None) -> None:
    """A linear head has a closed form, any other runs on pooled vectors; ours is linear unless `after` is given."""
    model, x = seeded(PooledNet(after)), normal(1, 3, 8, 12)
    (found,) = run_method("ablation_cam", model, x, [TARGETS])
    double = copy.deepcopy(model).double()
    with torch.no_grad():
        activation = double.features(x.double())[0].numpy()
    for row, target in enumerate(TARGETS):
        expected = ablation_cam(activation, score_of(lambda a: double.pooled_head(a.mean((2, 3))), target))
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-4)


def test_closed_form_is_the_linear_weight_and_equals_head_runs() -> None:
    model, x = seeded(PooledNet(channels=9)), normal(2, 3, 8, 12)
    found = run_method("ablation_cam", model, x, [logits_of((1,), (4,))] * 2)
    by_layer = run_method("ablation_cam", model, x, [logits_of((1,), (4,))] * 2, "net.body")
    for row in range(2):
        torch.testing.assert_close(found[row], by_layer[row], rtol=1e-3, atol=1e-4)
        trace = Trace(model, x)
        activation = trace.activation(None)[row]
        weight, score = model.net["head"].weight[4].detach(), trace.logits[row, 4]
        expected = ((weight * activation.mean((1, 2)) / score)[:, None, None] * activation).sum(0)
        torch.testing.assert_close(found[row][1], expected, rtol=1e-4, atol=1e-6)


def test_an_early_layer_is_ablated_through_the_rest() -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 9, 13)
    (found,) = run_method("ablation_cam", model, x, [logits_of((2,))], "net.stem.1", batch_size=3)
    double = copy.deepcopy(model).double()
    with torch.no_grad():
        activation = double.net["stem"][1](double.net["stem"][0](x.double()))[0].numpy().copy()

    def tail(a: torch.Tensor) -> torch.Tensor:
        return double.pooled_head(double.net["body"](torch.relu(a)).mean((2, 3)))

    expected = ablation_cam(activation, score_of(tail, Logit((2,))))
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-4)


def test_channels_of_tokens_are_ablated_in_all_tokens() -> None:
    model, x = seeded(build_tiny_vit()), normal(1, 3, 16, 24)
    (found,) = run_method("ablation_cam", model, x, [logits_of((1,))], batch_size=5)
    layer = model.get_submodule(model.default_layer)
    seen: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda _m, _i, o: seen.append(o))
    with torch.no_grad():
        whole = float(model(x)[0, 1])
    handle.remove()
    activation = Trace(model, x).activation(None)[0]
    expected = torch.zeros(2, 3)
    for channel in range(12):
        without = seen[0].clone()
        without[..., channel] = 0
        handle = layer.register_forward_hook(lambda _m, _i, _o, without=without: without)
        with torch.no_grad():
            expected += (whole - float(model(x)[0, 1])) / whole * activation[channel]
        handle.remove()
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(found[0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("layer", [None, "net.target", "net.body", "net.encoder.layers.encoder_layer_0"])
def test_chunks_and_batches_do_not_change_the_maps(layer: str | None) -> None:
    build = {"net.target": flat_net, "net.body": PooledNet, None: lambda: PooledNet(nn.LayerNorm(5))}
    model: Classifier = seeded(build.get(layer, build_tiny_vit)())
    x, targets = normal(3, 3, 8, 8), [logits_of((0,), (1, 2)), [], logits_of((2,))]
    together = run_method("ablation_cam", model, x, targets, layer, batch_size=64)
    chunked = run_method("ablation_cam", model, x, targets, layer, batch_size=3)
    assert [len(maps) for maps in together] == [2, 0, 1]
    for row in range(3):
        (alone,) = run_method("ablation_cam", model, x[row : row + 1], [targets[row]], layer)
        assert together[row].shape[1:] == together[0].shape[1:]
        torch.testing.assert_close(chunked[row], together[row], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(alone, together[row], rtol=1e-3, atol=1e-4)


class _Half(nn.Module):
    """Sets the first half of the channels, or all of them, to zero."""

    def __init__(self, part: slice) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        keep = torch.ones(x.shape[1])
        keep[self.part] = 0
        return x * keep[:, None, None]


def test_zero_channels_are_not_run() -> None:
    for part, copies in ((slice(3), 1 + 3), (slice(6), 1)):
        model, x = flat_net(), normal(1, 3, 8, 8)
        model.net["target"] = nn.Sequential(model.net["target"], _Half(part))
        trace, seen = Trace(model, x, (None,), frozenset({"activations", "head"})), []  # type: ignore[var-annotated]
        handle = model.net["head"].register_forward_hook(lambda _m, _i, o, seen=seen: seen.append(len(o)))
        (found,) = build_method("ablation_cam").compute_maps(trace, None, [logits_of((1,), (2,))])
        handle.remove()
        assert sum(seen) == copies
        assert bool(found.any()) is (copies > 1)


def test_a_score_of_zero_divides_nothing() -> None:
    zero: Target = lambda outputs: outputs[:, 1] * 0  # noqa: E731
    for model in (flat_net(), seeded(PooledNet())):
        (found,) = run_method("ablation_cam", model, normal(1, 3, 8, 8), [[zero]])
        assert torch.equal(found, torch.zeros_like(found))


def test_the_model_is_left_as_it_was() -> None:
    model = seeded(FlatNet())
    before = describe_state(model)
    run_method("ablation_cam", model, normal(1, 3, 8, 8), [logits_of((1,), (0, 2))])
    check_same_state(before, describe_state(model))
