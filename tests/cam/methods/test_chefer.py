"""Chefer's generic attention explainability against whole matrix products."""

from __future__ import annotations

import pytest
import torch

from tests.oracles.cam_attention import propagate
from tests.oracles.cam_networks import build_tiny_vit, seeded
from wsl.cam.method import build_method
from wsl.cam.targets import Logit, Probability
from wsl.cam.trace import Trace
from wsl.errors import ConfigError

TARGETS = [[Logit((0,)), Probability((2,))], [], [Logit((1,))]]


@pytest.mark.parametrize("pooled", [False, True])
def test_row_of_the_relevance(pooled: bool) -> None:
    model = seeded(build_tiny_vit())
    model.pooled = pooled
    images = torch.randn(3, 3, 16, 24, generator=torch.Generator().manual_seed(3))
    trace = Trace(model, images, needs=frozenset({"attention_gradients"}))
    maps = build_method("chefer").compute_maps(trace, None, TARGETS)
    assert [tuple(each.shape) for each in maps] == [(2, 2, 3), (0, 2, 3), (1, 2, 3)]
    for image, targets in enumerate(TARGETS):
        for place, target in enumerate(targets):
            scores = target(trace._outputs[image : image + 1])[0]
            gradients = torch.autograd.grad(scores, trace.attention, retain_graph=True)
            attention = [each[image].detach() for each in trace.attention]
            whole = propagate(attention, [each[image] for each in gradients])
            row = whole[1:].mean(0) if pooled else whole[0]
            assert row[1:].std() > 0
            torch.testing.assert_close(maps[image][place], row[1:].reshape(2, 3), rtol=1e-4, atol=1e-6)


def test_works_where_the_caller_switched_gradients_off_and_parameters_are_frozen() -> None:
    images = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    free, frozen = seeded(build_tiny_vit()), seeded(build_tiny_vit()).requires_grad_(False)
    found = []
    for model in (free, frozen):
        with torch.no_grad():
            trace = Trace(model, images, needs=frozenset({"attention_gradients"}))
            found.append(build_method("chefer").compute_maps(trace, None, [[Logit((1,))]])[0])
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_a_layer_is_refused() -> None:
    trace = Trace(seeded(build_tiny_vit()), torch.zeros(1, 3, 16, 16), needs=frozenset({"attention_gradients"}))
    with pytest.raises(ConfigError, match=r"cam.method=chefer uses the attention of the blocks, but got layer 'net'"):
        build_method("chefer").compute_maps(trace, "net", [[]])
