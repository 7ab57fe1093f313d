"""Attention rollout against whole matrix products."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.oracles.cam_attention import roll_out
from tests.oracles.cam_networks import build_tiny_vit, seeded
from wsl.cam.method import build_method
from wsl.cam.targets import Logit
from wsl.cam.trace import Trace
from wsl.errors import ConfigError

TARGETS = [[Logit((0,)), Logit((2,))], [], [Logit((1,))]]


def make_trace(pooled: bool = False) -> Trace:
    model = seeded(build_tiny_vit())
    model.pooled = pooled
    images = torch.randn(3, 3, 16, 24, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return Trace(model, images, needs=frozenset({"attention"}))


@pytest.mark.parametrize(("heads", "discard"), [("mean", 0.0), ("max", 0.0), ("min", 0.0), ("mean", 0.5), ("max", 0.9)])
def test_class_token_row_of_the_rollout(heads: str, discard: float) -> None:
    trace = make_trace()
    maps = build_method("attention_rollout", heads=heads, discard=discard).compute_maps(trace, None, TARGETS)
    assert [tuple(each.shape) for each in maps] == [(2, 2, 3), (0, 2, 3), (1, 2, 3)]
    for image, each in enumerate(maps):
        whole: Tensor = roll_out([block[image] for block in trace.attention], heads, discard)
        for found in each:
            torch.testing.assert_close(found, whole[0, 1:].reshape(2, 3), rtol=1e-5, atol=1e-7)


def test_mean_of_the_rows_where_the_head_pools() -> None:
    trace = make_trace(pooled=True)
    maps = build_method("attention_rollout").compute_maps(trace, None, TARGETS)
    whole = roll_out([block[2] for block in trace.attention])
    torch.testing.assert_close(maps[2][0], whole[1:].mean(0)[1:].reshape(2, 3), rtol=1e-5, atol=1e-7)


def test_uniform_attention_gives_a_flat_map() -> None:
    trace = make_trace()
    trace.attention[:] = [torch.full((3, 2, 7, 7), 1 / 7)] * 2
    maps = build_method("attention_rollout").compute_maps(trace, None, TARGETS)
    # two blocks of (J/7 + I)/2: off the diagonal J/28 + 2 * J/28
    torch.testing.assert_close(maps[0], torch.full((2, 2, 3), 3 / 28))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"heads": "sum"}, r"heads: expected one of \['max', 'mean', 'min'\], but got 'sum'"),
     ({"discard": 1.0}, r"discard: expected a share in \[0, 1\), but got 1.0")],
)  # fmt: skip
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_method("attention_rollout", **options)


def test_a_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"attention_rollout uses the attention of the blocks, but got layer"):
        build_method("attention_rollout").compute_maps(make_trace(), "net.encoder.ln", TARGETS)
