"""LeGrad against loops over the gradients of the head's score on each block's tokens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.oracles.cam_attention import le_grad
from tests.oracles.cam_networks import build_tiny_vit, check_same_state, describe_state, seeded
from wsl.cam.method import build_method
from wsl.cam.targets import Logit
from wsl.cam.trace import Trace
from wsl.errors import ConfigError
from wsl.models.vit import VitClassifier

TARGETS = [[Logit((0,)), Logit((2,))], [], [Logit((1,))]]


def make_trace(model: VitClassifier, size: tuple[int, int] = (16, 24)) -> Trace:
    images = torch.randn(3, 3, *size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return Trace(model, images, needs=frozenset({"attention_gradients"}))


def per_block_gradients(model: VitClassifier, trace: Trace, image: int, output: int, pooled: bool) -> list[Tensor]:
    """d head(tokens of block l) / d attention of block l, with the blocks run one by one."""
    found, net = [], model.net
    tokens = []
    handles = [block.register_forward_hook(lambda *each: tokens.append(each[2])) for block in net.encoder.layers]
    again = trace.again(trace.images)
    for handle in handles:
        handle.remove()
    for attention, each in zip(again.attention, tokens, strict=True):
        normed = net.encoder.ln(each)
        pool = normed[:, 1:].mean(1) if pooled else normed[:, 0]
        score = net.heads(pool)[image, output]
        found.append(torch.autograd.grad(score, attention, retain_graph=True)[0][image])
    return found


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_maps_are_the_mean_of_positive_gradients(pooled: bool, blocks: int) -> None:
    model = seeded(build_tiny_vit())
    model.pooled = pooled
    trace = make_trace(model)
    before = describe_state(model)
    maps = build_method("legrad", blocks=blocks).compute_maps(trace, None, TARGETS)
    check_same_state(before, describe_state(model))
    assert [tuple(each.shape) for each in maps] == [(2, 2, 3), (0, 2, 3), (1, 2, 3)]
    with torch.enable_grad():
        for image, place, output in [(0, 0, 0), (0, 1, 2), (2, 0, 1)]:
            expected = le_grad(per_block_gradients(model, trace, image, output, pooled)[-blocks:])
            assert expected[1:].std() > 0
            torch.testing.assert_close(maps[image][place].flatten(), expected[1:], rtol=1e-4, atol=1e-7)


def test_last_block_alone_is_the_gradient_of_the_networks_own_score() -> None:
    trace = make_trace(seeded(build_tiny_vit()))
    maps = build_method("legrad", blocks=1).compute_maps(trace, None, TARGETS)
    gradient = trace.differentiate(trace.attention[-1:], TARGETS)[0][0]
    torch.testing.assert_close(maps[0].flatten(1), gradient.relu().mean((1, 2))[:, 1:], rtol=1e-4, atol=1e-7)


def test_bad_numbers_of_blocks_and_a_layer_are_refused() -> None:
    with pytest.raises(ConfigError, match="blocks: expected a number of blocks, or 0 for all, but got -1"):
        build_method("legrad", blocks=-1)
    trace = make_trace(seeded(build_tiny_vit()))
    with pytest.raises(ConfigError, match="blocks: tiny_vit has 2 blocks, but got 3"):
        build_method("legrad", blocks=3).compute_maps(trace, None, TARGETS)
    with pytest.raises(ConfigError, match="legrad uses the attention of the blocks"):
        build_method("legrad").compute_maps(trace, "net.encoder", TARGETS)
