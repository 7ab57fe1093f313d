"""What the tests of docs/peers.md share: the versions that it speaks of, and our raw maps of any network."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wsl.cam.method import build_method
from wsl.cam.preset import Preset
from wsl.cam.targets import Logit
from wsl.cam.trace import Trace
from wsl.models.wrap import wrap_network

CLAIMED = {"grad-cam": "1.5.7", "torchcam": "0.5.0", "captum": "0.9.0"}
PACKAGES = {"grad-cam": "pytorch_grad_cam", "torchcam": "torchcam", "captum": "captum"}
# Signed maps as they are: no ReLU, no normaliser.
RAW = Preset(relu="none", normaliser="none")
LAST_BLOCK = "encoder.layers.encoder_layer_1.ln_1"


def need(peer: str) -> Any:
    """The peer's package, in the version that docs/peers.md speaks of."""
    package = pytest.importorskip(PACKAGES[peer])
    found = version(peer)
    if found != CLAIMED[peer]:
        pytest.skip(f"docs/peers.md speaks of {peer} {CLAIMED[peer]}, but {found} is installed: check its claims again")
    return package


def category(output: int) -> Any:
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    return ClassifierOutputTarget(output)


def raw_maps(
    method: str, network: nn.Module, images: Tensor, output: int = 0, layer: str = "late", **options: Any
) -> Tensor:
    """Our signed maps (B, h, w) at the layer's size."""
    built = build_method(method, **options)
    name = f"net.{layer}" if layer else None
    trace = Trace(wrap_network(network, images=images), images, (name,), built.needs)
    return torch.cat(built.compute_maps(trace, name, [[Logit((output,))]] * len(images)))


def assert_close(found: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    scale = float(expected.abs().max())
    assert scale > 0
    torch.testing.assert_close(found.double() / scale, expected.double() / scale, rtol=0, atol=tolerance)
