"""EigenCAM against the singular vectors of the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.cam_eigen import first_component, like_mean
from tests.oracles.cam_masked import activation_of, flat_net, logits_of, run_method
from tests.oracles.cam_networks import PooledNet, build_tiny_vit, check_same_state, describe_state, seeded
from wsl.cam.trace import Trace


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


def test_equals_the_singular_vector_for_every_class() -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    (found,) = run_method("eigen_cam", model, x, [logits_of((1,), (0, 2), (3,))])
    activation = activation_of(model, x)
    expected = like_mean(first_component(activation), activation)
    assert found.shape == (3, 4, 4)
    for each in found:
        np.testing.assert_allclose(each, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("build", [lambda: PooledNet(channels=9), build_tiny_vit])
@pytest.mark.parametrize("size", [(16, 16), (24, 40)])
def test_pooled_maps_and_tokens_of_batches(build: object, size: tuple[int, int]) -> None:
    model, x = seeded(build()), normal(3, 3, *size)  # type: ignore[operator]
    found = run_method("eigen_cam", model, x, [logits_of((1,)), [], logits_of((0,))])
    activation = Trace(model, x).activation(None).double().numpy()
    assert [len(maps) for maps in found] == [1, 0, 1]
    for row in (0, 2):
        expected = like_mean(first_component(activation[row]), activation[row])
        np.testing.assert_allclose(found[row][0], expected, rtol=1e-3, atol=1e-4)


def test_the_mirror_image_gives_the_mirrored_map() -> None:
    """The sign does not depend on how the image is turned, so flips may be added."""
    x = normal(1, 3, 8, 8)
    x[..., 4:] += 3  # the object
    model = seeded(PooledNet())
    with torch.no_grad():
        for name in ("stem", "body"):
            kernel = model.net[name][0].weight
            kernel.copy_((kernel + kernel.flip(3)) / 2)
        model.net["stem"][0].stride = model.net["body"][0].stride = (1, 1)
    (found,) = run_method("eigen_cam", model, x, [logits_of((1,))])
    (mirrored,) = run_method("eigen_cam", model, x.flip(3), [logits_of((1,))])
    assert found.abs().max() > 0.1
    torch.testing.assert_close(mirrored.flip(2), found, rtol=1e-4, atol=1e-4)


def test_the_model_is_left_as_it_was() -> None:
    model = flat_net()
    before = describe_state(model)
    run_method("eigen_cam", model, normal(1, 3, 8, 8), [logits_of((1,))])
    check_same_state(before, describe_state(model))
