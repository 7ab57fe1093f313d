"""Smooth Grad-CAM++ against loops over the gradients of the same noisy copies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.cam_gradient_methods import maps_of, normal, smooth_grad_cam_plus_plus
from tests.oracles.cam_networks import FlatNet, PooledNet, seeded
from wsl.cam.method import build_method
from wsl.cam.targets import Logit, Probability
from wsl.errors import ConfigError


def noisy_gradients(model: FlatNet, x: torch.Tensor, output: int, samples: int) -> list[np.ndarray]:
    generator = torch.Generator().manual_seed(3)
    found = []
    for _ in range(samples):
        noisy = x + 0.2 * torch.randn((1, *x.shape[1:]), generator=generator)
        activation = model.net["target"](model.net["stem"](noisy)).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(model.tail(activation.clone())[0, output], activation)
        found.append(gradient[0].double().numpy())
    return found


def test_map_equals_the_loop_on_the_clean_activation() -> None:
    model, x = seeded(FlatNet()), normal(1, 3, 8, 8)
    (found,) = maps_of("smooth_grad_cam_plus_plus", model, x, [[Logit((2,))]], samples=3, sigma=0.2, seed=3)
    clean = model.net["target"](model.net["stem"](x))[0].detach().double().numpy()
    expected = smooth_grad_cam_plus_plus(clean, noisy_gradients(model, x, 2, 3))
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("layer", [None, "net.body.2"])
def test_without_noise_it_is_grad_cam_plus_plus(layer: str | None) -> None:
    model, x = seeded(PooledNet()), normal(2, 3, 13, 22)
    targets = [[Logit((1,)), Probability((0, 3))], [Logit((4,))]]
    smooth = maps_of("smooth_grad_cam_plus_plus", model, x, targets, layer, sigma=0)
    plain = maps_of("grad_cam_plus_plus", model, x, targets, layer)
    for first, second in zip(smooth, plain, strict=True):
        assert second.abs().max() > 1e-3
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


def test_third_powers_of_tiny_gradients_are_kept() -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 12, 12)
    with torch.no_grad():
        model.net["head"].weight *= 1e-14
    (found,) = maps_of("smooth_grad_cam_plus_plus", model, x, [[Logit((1,))]])
    weight = model.net["head"].weight[1].detach().clamp(min=0) / 2
    expected = (weight[:, None, None] * model.features(x)[0].detach()).sum(0)
    torch.testing.assert_close(found[0] * 1e14, expected * 1e14, rtol=1e-4, atol=1e-6)


def test_seed_and_number_of_samples_matter() -> None:
    model, x = seeded(FlatNet()), normal(1, 3, 8, 8)
    maps = [
        maps_of("smooth_grad_cam_plus_plus", model, x, [[Logit((1,))]], **options)[0]
        for options in ({}, {"seed": 1}, {"samples": 2}, {"sigma": 0.1})
    ]
    for other in maps[1:]:
        assert not torch.allclose(maps[0], other)


@pytest.mark.parametrize("options", [{"samples": 0}, {"sigma": -0.1}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected samples of at least 1 and sigma of at least 0, but got"):
        build_method("smooth_grad_cam_plus_plus", **options)
