"""A layer that is the pooled map is known as such, and only such a layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.oracles.cam_networks import PooledNet, check_same_state, describe_state, seeded
from wsl.cam.method import build_method, list_methods
from wsl.cam.pooled_layer import is_pooled_map
from wsl.cam.targets import Logit
from wsl.cam.trace import Trace

X = torch.randn(2, 3, 21, 34, generator=torch.Generator().manual_seed(0))


class Shifted(PooledNet):
    """Something follows its default layer before the pooling."""

    def features(self, x: Tensor) -> Tensor:
        return super().features(x) + 1


class Changed(PooledNet):
    """An in-place layer follows its default layer: the hook sees an alias of what becomes the pooled map."""

    def __init__(self) -> None:
        super().__init__()
        self.net["later"] = nn.Hardtanh(0, 1, inplace=True)

    def features(self, x: Tensor) -> Tensor:
        return self.net["later"](super().features(x))


def test_only_the_pooled_map_itself_counts() -> None:
    model = seeded(PooledNet())
    before = describe_state(model)
    assert is_pooled_map(model, "net.body", X)
    check_same_state(before, describe_state(model))
    assert not is_pooled_map(model, "net.stem", X)
    assert not is_pooled_map(model, None, X)
    assert not is_pooled_map(seeded(Shifted()), "net.body", X)
    assert not is_pooled_map(seeded(Changed()), "net.body", X)


@pytest.mark.parametrize("name", ["grad_cam", "layer_cam", "ablation_cam", "hires_cam", "eigen_cam", "shapley_cam"])
def test_the_maps_are_those_of_the_long_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name in list_methods()
    model, method, targets = seeded(PooledNet()), build_method(name), [[Logit((0,))], [Logit((3,)), Logit((1, 2))]]
    short = method.compute_maps(Trace(model, X, ("net.body",), method.needs), "net.body", targets)
    monkeypatch.setattr("wsl.cam.trace.is_pooled_map", lambda *_: False)
    trace = Trace(model, X, ("net.body",), method.needs)
    assert trace.layers == ("net.body",)
    for first, second in zip(short, method.compute_maps(trace, "net.body", targets), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)
