"""CAM against loops, and against Grad-CAM at the pooled features."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.oracles.cam_gradient_methods import maps_of, normal
from tests.oracles.cam_maps import cam_of_pooled_linear, group_score
from tests.oracles.cam_networks import FlatNet, PooledNet, seeded
from wsl.cam.method import build_method
from wsl.cam.targets import Logit, Probability
from wsl.cam.trace import Trace
from wsl.errors import ModelError
from wsl.models import build_classifier
from wsl.models.classifier import Classifier

GROUPS = [(2,), (0, 3, 5)]
LOGITS = [Logit(group) for group in GROUPS]


def test_maps_of_a_linear_head_equal_the_loops() -> None:
    model, x = seeded(PooledNet()), normal(2, 3, 14, 22)
    found = maps_of("cam", model, x, [LOGITS, LOGITS])
    with torch.no_grad():
        features = model.features(x).double().numpy()
    weight = model.net["head"].weight.detach().double().numpy()
    bias = model.net["head"].bias.detach().double().numpy()
    for row in range(2):
        assert found[row].shape == (2, 4, 6)
        for k, group in enumerate(GROUPS):
            # the map's gradient is per position: the engine multiplies it by their number
            expected = cam_of_pooled_linear(features[row], weight, bias, group) / 24
            assert expected.min() < -1e-3  # signed: clipping is the preset's business
            torch.testing.assert_close(found[row][k].double(), torch.from_numpy(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("after", [None, nn.LayerNorm(5), nn.Sequential(nn.Linear(5, 5), nn.Hardswish())])
def test_cam_equals_grad_cam_at_the_pooled_features(after: nn.Module | None) -> None:
    model, x = seeded(PooledNet(after)), normal(2, 3, 14, 22)
    targets = [[*LOGITS, Probability((1,))], [Logit((1, 4))]]
    found, expected = maps_of("cam", model, x, targets), maps_of("grad_cam", model, x, targets, "net.body.2")
    for ours, other in zip(found, expected, strict=True):
        assert ours.abs().max() > 1e-3
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-6)


def test_cam_equals_grad_cam_behind_a_layer_norm_of_a_real_network() -> None:
    pytest.importorskip("timm")
    model = build_classifier("timm/convnext_atto", num_outputs=4)[0].eval()
    targets = [[Logit((0, 2)), Logit((3,))]]
    (first,) = maps_of("cam", model, normal(1, 3, 64, 64), targets)
    (second,) = maps_of("grad_cam", model, normal(1, 3, 64, 64), targets, "net.stages.3.blocks.1")
    assert first.shape == (2, 2, 2)
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-6)


def test_weights_of_a_group_are_the_gradient_of_its_log_sum_exp() -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 14, 22)
    (found,) = Trace(model, x).gradients(None, [[Logit((0, 3, 5))]])
    pooled = model.features(x).mean((2, 3)).detach().requires_grad_()
    logits = model.pooled_head(pooled)[0]
    score = torch.logsumexp(logits[[0, 3, 5]], 0)
    assert score.item() == pytest.approx(group_score(logits.tolist(), (0, 3, 5)), rel=1e-5)
    (weights,) = torch.autograd.grad(score, pooled)
    torch.testing.assert_close(found.sum((2, 3)), weights, rtol=1e-4, atol=1e-6)


def test_many_classes_equal_one_at_a_time() -> None:
    model, x = seeded(PooledNet(outputs=80)), normal(1, 3, 14, 22)
    (everything,) = maps_of("cam", model, x, [[Logit((output,)) for output in range(80)]])
    singles = torch.cat([maps_of("cam", model, x, [[Logit((output,))]])[0] for output in range(80)])
    torch.testing.assert_close(everything, singles, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "layers", "message"),
    [
        (FlatNet(), (), "flat_net has none: use cam.method=grad_cam"),
        (PooledNet(), ("net.stem",), "not on layer 'net.stem': use cam.method=grad_cam"),
    ],
)
def test_what_cam_cannot_do_is_said(model: Classifier, layers: tuple[str, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_method("cam").check_fit(model, layers)
