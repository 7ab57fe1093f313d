"""KPCA-CAM against the kernel matrix by loops, and against scikit-learn where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.cam_eigen import centred_points, kernel_component, like_mean
from tests.oracles.cam_masked import activation_of, flat_net, logits_of, run_method
from tests.oracles.cam_networks import PooledNet, build_tiny_vit, seeded
from wsl.cam.method import build_method
from wsl.cam.trace import Trace


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("gamma", [None, 0.05])
def test_equals_the_loop_for_every_class(gamma: float | None) -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    (found,) = run_method("kpca_cam", model, x, [logits_of((1,), (0, 2))], gamma=gamma)
    activation = activation_of(model, x)
    expected = like_mean(kernel_component(activation, gamma), activation)
    for each in found:
        np.testing.assert_allclose(each, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("build", [lambda: PooledNet(channels=9), build_tiny_vit])
def test_pooled_maps_and_tokens_of_batches(build: object) -> None:
    model, x = seeded(build()), normal(3, 3, 24, 40)  # type: ignore[operator]
    found = run_method("kpca_cam", model, x, [logits_of((1,)), [], logits_of((0,))])
    activation = Trace(model, x).activation(None).double().numpy()
    assert [len(maps) for maps in found] == [1, 0, 1]
    for row in (0, 2):
        expected = like_mean(kernel_component(activation[row]), activation[row])
        np.testing.assert_allclose(found[row][0], expected, rtol=1e-3, atol=1e-4)


def test_equals_scikit_learn() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition", reason="scikit-learn is not installed")
    values = normal(30, 6, 7).relu()
    found = build_method("kpca_cam").combine(values)  # type: ignore[attr-defined]
    points = centred_points(values.double().numpy())
    peer = decomposition.KernelPCA(n_components=1, kernel="sigmoid").fit_transform(points)[:, 0].reshape(6, 7)
    np.testing.assert_allclose(found, like_mean(peer, values.double().numpy()), rtol=1e-4, atol=1e-5)
