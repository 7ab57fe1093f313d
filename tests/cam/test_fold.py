"""Folding changes what is computed, not what comes out; where it would, nothing is folded."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.oracles.cam_networks import FlatNet, PooledNet, TwiceNet, check_same_state, describe_state, seeded
from wsl.cam.fold import fold_batch_norms
from wsl.cam.method import build_method
from wsl.cam.targets import Logit
from wsl.cam.trace import Trace
from wsl.models import build_classifier
from wsl.models.classifier import Classifier


def count_norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize(
    ("name", "folded", "left"), [("resnet18", 20, 0), ("mobilenet_v2", 52, 0), ("densenet121", 59, 62)]
)
def test_real_networks_give_the_same_maps(name: str, folded: int, left: int) -> None:
    plain = seeded_norms(build_classifier(name, num_outputs=3)[0])
    model = copy.deepcopy(plain)
    assert fold_batch_norms(model) == folded
    assert count_norms(model) == left
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected, found = plain.features(x), model.features(x)
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def seeded_norms(model: Classifier) -> Classifier:
    """Statistics as after training: a fresh norm is nearly the identity, which would fold trivially."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
            for tensor in (module.running_var, module.weight.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return model


def grad_cam(model: Classifier, x: torch.Tensor, layer: str) -> torch.Tensor:
    trace = Trace(model.eval(), x, (layer,), frozenset({"gradients"}))
    return build_method("grad_cam").compute_maps(trace, layer, [[Logit((1,))]])[0]


def test_the_layer_that_grad_cam_looks_at_keeps_its_output() -> None:
    x = torch.randn(1, 3, 20, 24, generator=torch.Generator().manual_seed(2))
    for layer, folded in (("net.body.0", 1), ("net.body.1", 1), ("net.stem", 2)):
        model = seeded(PooledNet())
        expected = grad_cam(model, x, layer)
        assert fold_batch_norms(model, (layer,)) == folded
        found = grad_cam(model, x, layer)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


class SkipNet(PooledNet):
    """Its convolution's output is also added behind the norm, where folding would change it."""

    def features(self, x: Tensor) -> Tensor:
        before = self.net["stem"][0](x)
        return self.net["body"](self.net["stem"][1](before) + before)


class RunsTwice(PooledNet):
    """Runs one convolution twice."""

    def features(self, x: Tensor) -> Tensor:
        return super().features(self.net["stem"][0](x).mean(1, keepdim=True).expand(-1, 3, -1, -1))


@pytest.mark.parametrize("model", [SkipNet(), FlatNet()])
def test_nothing_is_folded_where_it_would_change_the_result(model: Classifier) -> None:
    before = describe_state(seeded(model))
    assert fold_batch_norms(model) == 0
    check_same_state(before, describe_state(model))


def test_layers_that_run_twice_are_left() -> None:
    model = seeded(RunsTwice())
    assert fold_batch_norms(model) == 1
    assert isinstance(model.net["stem"][1], nn.BatchNorm2d)
    assert fold_batch_norms(seeded(TwiceNet())) == 2  # there only the activation runs twice


def test_norms_in_training_or_without_statistics_are_left() -> None:
    assert fold_batch_norms(seeded(PooledNet()).train()) == 0
    model = seeded(PooledNet())
    model.net["stem"][1] = nn.BatchNorm2d(4, track_running_stats=False).eval()
    assert fold_batch_norms(model) == 1
