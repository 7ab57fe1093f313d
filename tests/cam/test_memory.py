"""Nothing of a forward pass outlives the call, without waiting for the garbage collector."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from torch import nn

from tests.oracles.cam_networks import PooledNet, build_tiny_vit, seeded
from wsl.cam import scale_run
from wsl.cam.call import compute_score_maps
from wsl.cam.engine import compute_pyramids
from wsl.cam.method import build_method, list_methods
from wsl.cam.options import CamOptions
from wsl.cam.trace import Trace

IMAGE = np.random.default_rng(3).integers(0, 256, (70, 90, 3), dtype=np.uint8)
SMALL = {"score_cam": {"channels": 2}, "ss_cam": {"channels": 2, "samples": 1}, "is_cam": {"channels": 2, "samples": 1}}


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[weakref.ref[Trace]]]:
    """Weak references to every trace that the engine makes, while the garbage collector is off."""
    seen: list[weakref.ref[Trace]] = []

    class Watched(Trace):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            seen.append(weakref.ref(self))

    monkeypatch.setattr(scale_run, "Trace", Watched)
    gc.collect()
    gc.disable()
    yield seen
    gc.enable()


@pytest.mark.parametrize("tile", [None, 64])
@pytest.mark.parametrize("method", list_methods())
def test_traces_end_with_the_call(method: str, tile: int | None, traces: list[weakref.ref[Trace]]) -> None:
    model: nn.Module = build_tiny_vit() if "attention" in "".join(build_method(method).needs) else PooledNet()
    options = CamOptions(method=method, options=SMALL.get(method, {}), scales=(1.0, 0.8), tile=tile, tile_overlap=0)
    compute_pyramids(seeded(model), [IMAGE], ["a"], [(1, 2)], {1: (0,), 2: (1,)}, options)
    assert traces
    assert [each() for each in traces] == [None] * len(traces)


def test_traces_end_with_the_stateless_call(traces: list[weakref.ref[Trace]]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    compute_score_maps(network, [IMAGE], [0, 2], method=["grad_cam", "ablation_cam", "full_grad"], layers=())
    assert traces
    assert [each() for each in traces] == [None] * len(traces)
