"""Masks of channels against loops over pixels; which channels have one; scores do not depend on the chunks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.cam_masked import enlarge, logits_of, stretch
from tests.oracles.cam_networks import FlatNet, PooledNet, seeded
from wsl.cam.masked import compute_mask_scores, find_masks
from wsl.cam.trace import Trace


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("small", "large"), [((3, 4), (10, 13)), ((1, 5), (7, 9)), ((4, 4), (3, 2))])
def test_masks_are_enlarged_and_then_stretched(
    small: tuple[int, int], large: tuple[int, int], align_corners: bool
) -> None:
    activation = normal(5, *small)
    masks = find_masks(activation, large, align_corners=align_corners, epsilon=0.25)
    found = masks.build(0, len(masks))
    assert found.shape == (6, *large)
    assert (found[0] == 0).all()
    for index in range(5):
        expected = stretch(enlarge(activation[index].double().numpy(), large, align_corners), 0.25)
        np.testing.assert_allclose(found[1 + index], expected, atol=1e-5)


def test_masks_reach_both_ends() -> None:
    found = find_masks(normal(4, 3, 3), (8, 8)).build(1, 5)
    assert (found.amin((1, 2)) == 0).all()
    assert (found.amax((1, 2)) == 1).all()


def test_constant_channels_share_the_empty_mask() -> None:
    activation = normal(5, 3, 3)
    activation[1] = 0
    activation[3] = 7.3
    activation[4] = 1000 + 1e-4 * normal(3, 3)  # differs by rounding only
    masks = find_masks(activation, (6, 6))
    assert masks.rows.tolist() == [1, 0, 2, 0, 0]
    assert masks.channels.tolist() == [0, 1, 2, 3, 4]
    assert len(masks) == 3


def test_the_channels_that_vary_most_are_used() -> None:
    activation = normal(6, 4, 4) * torch.tensor([1.0, 9.0, 0.1, 5.0, 0.0, 2.0])[:, None, None]
    masks = find_masks(activation, (8, 8), channels=3)
    assert masks.channels.tolist() == [1, 3, 5]
    assert masks.rows.tolist() == [1, 2, 3]
    torch.testing.assert_close(masks.maps[1:], activation[[1, 3, 5]], rtol=0, atol=0)
    assert find_masks(activation, (8, 8), channels=99).channels.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("model", [PooledNet(channels=11), FlatNet()])
def test_chunks_do_not_change_the_scores(model: torch.nn.Module) -> None:
    model, x = seeded(model), normal(2, 3, 8, 8)
    trace, targets = Trace(model, x), logits_of((0,), (1, 3), (2,))
    masks = find_masks(normal(11, 4, 4), (8, 8))
    one, few, all_at_once = (compute_mask_scores(trace, 1, masks, targets, batch_size=size) for size in (1, 3, 64))
    assert all_at_once.shape == (12, 3)
    torch.testing.assert_close(one, all_at_once, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(few, all_at_once, rtol=1e-5, atol=1e-5)


def test_scores_are_those_of_the_multiplied_image() -> None:
    model, x = seeded(PooledNet()), normal(2, 3, 8, 12)
    masks = find_masks(normal(3, 2, 3), (8, 12))
    change = lambda mask: 0.5 * mask + 1  # noqa: E731
    found = compute_mask_scores(Trace(model, x), 1, masks, logits_of((4,)), change=change)
    with torch.no_grad():
        expected = [float(model(x[1:2] * (0.5 * mask + 1))[0, 4]) for mask in masks.build(0, 4)]
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4, atol=1e-5)
