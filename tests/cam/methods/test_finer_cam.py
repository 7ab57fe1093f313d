"""FinerCAM against CAM maps mixed by hand, its references, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from tests.oracles.cam_gradient_methods import maps_of, normal
from tests.oracles.cam_networks import FlatNet, PooledNet, seeded
from wsl.cam.method import build_method
from wsl.cam.methods.finer_cam import FinerCam, WeightedDifference, find_references
from wsl.cam.targets import Logit, Probability
from wsl.errors import ConfigError


def test_references_are_the_nearest_logits_outside_the_target() -> None:
    logits = torch.tensor([1.0, 4.0, 2.5, 0.0, 2.0])
    assert find_references(logits, Logit((4,)), 3) == (2, 0, 1)  # distances 0.5, 1 and 2; 2 again at output 3
    assert find_references(logits, Logit((4,)), 9) == (2, 0, 1, 3)
    # log(e^1 + e^2) = 2.31
    assert find_references(logits, Logit((0, 4)), 2) == (2, 1)
    assert find_references(logits[:1], Logit((0,)), 3) == ()


@pytest.mark.parametrize("layer", [None, "net.body.2"])
def test_paper_variant_is_a_difference_of_cams(layer: str | None) -> None:
    model, x = seeded(PooledNet()), normal(2, 3, 14, 22)
    found = maps_of("finer_cam", model, x, [[Logit((2,))], [Logit((0,)), Logit((5,))]], layer, alpha=0.5, references=2)
    cams = maps_of("cam", model, x, [[Logit((output,)) for output in range(6)]] * 2)
    for row, outputs in enumerate([(2,), (0, 5)]):
        logits = model(x)[row].detach()
        for k, output in enumerate(outputs):
            near = sorted((abs(float(logits[other] - logits[output])), other) for other in range(6) if other != output)
            (_, first), (_, second) = near[:2]
            expected = cams[row][output] - 0.5 * (cams[row][first] + cams[row][second]) / 2
            torch.testing.assert_close(found[row][k], expected, rtol=1e-4, atol=1e-6)


def test_weighted_variant_is_the_fraction_of_the_code_with_its_gradient() -> None:
    target, others = Logit((1,)), (0, 3, 2)
    outputs = normal(1, 5).double().requires_grad_()
    shares = outputs.softmax(1)
    top = sum(shares[0, other] * (outputs[0, 1] - 0.7 * outputs[0, other]) for other in others)
    expected = top / sum(shares[0, other] for other in others)
    found = WeightedDifference(target, others, 0.7)(outputs)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    (slope,) = torch.autograd.grad(found.sum(), outputs)
    (wanted,) = torch.autograd.grad(expected, outputs)
    torch.testing.assert_close(slope, wanted)


def test_weighted_variant_does_not_divide_by_zero() -> None:
    outputs = torch.tensor([[0.0, 300.0, 0.0, 0.0]], requires_grad=True)  # the references' probabilities are 0
    found = WeightedDifference(Logit((1,)), (0, 2, 3), 1.0)(outputs)
    assert found.item() == 300.0
    (slope,) = torch.autograd.grad(found.sum(), outputs)
    torch.testing.assert_close(slope, torch.tensor([[-1 / 3, 1.0, -1 / 3, -1 / 3]]))


def test_weighted_variant_reaches_the_map() -> None:
    model, x = seeded(FlatNet()), normal(1, 3, 8, 8)
    (found,) = maps_of("finer_cam", model, x, [[Logit((1,))]], variant="weighted", alpha=1.0, references=2)
    activation = model.net["target"](model.net["stem"](x)).detach().requires_grad_()
    outputs = model.tail(activation.clone())
    others = find_references(outputs[0].detach(), Logit((1,)), 2)
    shares = outputs.softmax(1)[0, list(others)]
    score = (shares * (outputs[0, 1] - outputs[0, list(others)])).sum() / shares.sum()
    (gradient,) = torch.autograd.grad(score, activation)
    expected = (gradient.mean((2, 3), keepdim=True) * activation).sum(1).detach()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_network_with_one_output_is_compared_with_nothing() -> None:
    model, x = seeded(PooledNet(outputs=1)), normal(1, 3, 12, 12)
    (found,) = maps_of("finer_cam", model, x, [[Logit((0,))]])
    (expected,) = maps_of("grad_cam", model, x, [[Logit((0,))]])
    torch.testing.assert_close(found, expected)


def test_alpha_of_zero_is_grad_cam() -> None:
    model, x = seeded(FlatNet()), normal(1, 3, 8, 8)
    (found,) = maps_of("finer_cam", model, x, [[Logit((1,))]], alpha=0.0)
    (expected,) = maps_of("grad_cam", model, x, [[Logit((1,))]])
    torch.testing.assert_close(found, expected)


def first_share(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.softmax(1)[:, 0]


@pytest.mark.parametrize(("target", "name"), [(Probability((1,)), "Probability"), (first_share, "first_share")])
def test_targets_that_are_no_logits_are_refused(target: object, name: str) -> None:
    with pytest.raises(ConfigError, match=f"expected the target 'logit', but got {name}"):
        maps_of("finer_cam", seeded(PooledNet()), normal(1, 3, 12, 12), [[target]])


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected variant paper or weighted, but got 'papr'"):
        build_method("finer_cam", variant="papr")
    with pytest.raises(ConfigError, match="expected references of at least 1, but got 0"):
        FinerCam(references=0)
