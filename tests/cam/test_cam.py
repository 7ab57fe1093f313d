"""CAM against loops, and against Grad-CAM at the pooled features."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.oracles.cam_maps import cam_of_pooled_linear, group_score
from tests.oracles.cam_networks import FlatNet, PooledNet, seeded
from wsl.cam.cam import cam
from wsl.cam.grad_cam import grad_cam
from wsl.errors import ModelError
from wsl.models import build_classifier
from wsl.models.classifier import Classifier

GROUPS = [(2,), (0, 3, 5)]


def images(count: int = 2, size: tuple[int, int] = (14, 22), seed: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def test_maps_of_a_linear_head_equal_the_loops() -> None:
    model, x = seeded(PooledNet()), images()
    found = cam(model, x).maps([GROUPS, GROUPS])
    with torch.no_grad():
        features = model.features(x).double().numpy()
    weight = model.net["head"].weight.detach().double().numpy()
    bias = model.net["head"].bias.detach().double().numpy()
    for row in range(2):
        assert found[row].shape == (2, 4, 6)
        for k, group in enumerate(GROUPS):
            expected = cam_of_pooled_linear(features[row], weight, bias, group)
            assert expected.min() < -0.01  # signed: clipping is the preset's business
            torch.testing.assert_close(found[row][k].double(), torch.from_numpy(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("after", [None, nn.LayerNorm(5), nn.Sequential(nn.Linear(5, 5), nn.Hardswish())])
def test_cam_equals_grad_cam_at_the_pooled_features(after: nn.Module | None) -> None:
    model, x = seeded(PooledNet(after)), images()
    targets = [GROUPS, [(1, 4)]]
    ours, other = cam(model, x), grad_cam(model, x)
    torch.testing.assert_close(ours.logits, other.logits)
    for first, second in zip(ours.maps(targets), other.maps(targets), strict=True):
        assert first.abs().max() > 0.01
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


def test_cam_equals_grad_cam_behind_a_layer_norm_of_a_real_network() -> None:
    pytest.importorskip("timm")
    model = build_classifier("timm/convnext_atto", num_outputs=4)[0]
    x = images(1, (64, 64))
    (first,), (second,) = cam(model, x).maps([[(0, 2), (3,)]]), grad_cam(model, x).maps([[(0, 2), (3,)]])
    assert first.shape == (2, 2, 2)
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-5)


def test_weights_of_a_group_are_the_gradient_of_its_log_sum_exp() -> None:
    model, x = seeded(PooledNet()), images(1)
    raw = cam(model, x)
    pooled = model.features(x).mean((2, 3)).detach().requires_grad_()
    logits = model.pooled_head(pooled)[0]
    score = torch.logsumexp(logits[[0, 3, 5]], 0)
    assert score.item() == pytest.approx(group_score(logits.tolist(), (0, 3, 5)), rel=1e-5)
    (weights,) = torch.autograd.grad(score, pooled)
    torch.testing.assert_close(raw._linear_weights(0, [(0, 3, 5)]), weights)


def test_images_of_a_batch_may_want_different_numbers_of_classes() -> None:
    for model in (seeded(PooledNet()), seeded(PooledNet(nn.LayerNorm(5)))):
        targets = [[(1,), (2,)], [], [(0, 4)]]
        together = cam(model, images(3)).maps(targets)
        assert [maps.shape for maps in together] == [(2, 4, 6), (0, 4, 6), (1, 4, 6)]
        for row in range(3):
            (alone,) = cam(model, images(3)[row : row + 1]).maps([targets[row]])
            torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-5)


def test_many_classes_equal_one_at_a_time() -> None:
    model = seeded(PooledNet(outputs=80))
    raw = cam(model, images(1))
    (everything,) = raw.maps([[(output,) for output in range(80)]])
    singles = torch.cat([raw.maps([[(output,)]])[0] for output in range(80)])
    torch.testing.assert_close(everything, singles, rtol=1e-4, atol=1e-5)


def check_refused(model: Classifier, layer: str | None, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        cam(model, images(1, (8, 8)), layer)


def test_what_cam_cannot_do_is_said() -> None:
    check_refused(seeded(FlatNet()), None, "flat_net has none: use cam.method=grad_cam")
    check_refused(seeded(PooledNet()), "net.stem", "not on layer 'net.stem': use cam.method=grad_cam")
