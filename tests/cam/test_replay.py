"""The head of a network alone gives the network's own outputs, bit for bit, and leaves the network as it was."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.oracles.cam_gradient_methods import normal
from tests.oracles.cam_networks import FlatNet, PooledNet, build_tiny_vit, check_same_state, describe_state, seeded
from wsl.cam.replay import Replay
from wsl.models import build_classifier
from wsl.models.classifier import Classifier


class BranchNet(PooledNet):
    """A residual block by hand: two branches, an in-place addition, one activation module that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.net["left"], self.net["right"] = nn.Conv2d(4, 4, 3, 1, 1), nn.Conv2d(4, 4, 1)
        self.net["act"] = nn.ReLU(inplace=True)

    def features(self, x: Tensor) -> Tensor:
        start = self.net["stem"](x)
        out = self.net["act"](self.net["left"](start))
        out += self.net["right"](start)
        return self.net["body"](self.net["act"](out))


def record(model: Classifier, layer: str, x: Tensor) -> tuple[Replay, Tensor, Tensor]:
    """The replay, the layer's output and the network's outputs."""
    seen: list[Tensor] = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: seen.append(output.clone()))
    with torch.no_grad(), Replay(model, layer) as replay:
        outputs = model(x)
    handle.remove()
    return replay, seen[0], outputs


NETWORKS = [
    (PooledNet, "net.stem.0"),
    (PooledNet, "net.stem.1"),
    (PooledNet, "net.body"),
    (FlatNet, "net.target"),
    (BranchNet, "net.left"),
    (BranchNet, "net.right"),
    (build_tiny_vit, "net.encoder.layers.encoder_layer_0.ln_1"),
    (build_tiny_vit, "net.encoder.layers.encoder_layer_1"),
]


@pytest.mark.parametrize(("build", "layer"), NETWORKS)
@torch.no_grad()
def test_the_old_activation_gives_the_old_outputs(build: type[Classifier], layer: str) -> None:
    model, x = seeded(build()), normal(3, 3, 8 if build is FlatNet else 16, 8 if build is FlatNet else 16)
    replay, raw, outputs = record(model, layer, x)
    for row in (2, 0):
        for copies in (1, 2, 1):  # an in-place addition must not reach what is kept
            found = replay.run(raw[row].expand(copies, *raw.shape[1:]).clone(), row, x)
            torch.testing.assert_close(found, outputs[row].expand(copies, -1), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_new_activations_run_through_what_follows() -> None:
    model, x = seeded(PooledNet()), normal(2, 3, 13, 22)
    replay, raw, _ = record(model, "net.stem.1", x)
    versions = raw[1] * torch.tensor([0.5, 1.0, -2.0])[:, None, None, None]
    expected = model.pooled_head(model.net["body"](functional.relu(versions)).mean((2, 3)))
    torch.testing.assert_close(replay.run(versions.clone(), 1, x), expected)


@pytest.mark.parametrize("layer", ["net.left", "net.right"])
@torch.no_grad()
def test_branches_keep_what_the_other_one_gave(layer: str) -> None:
    model, x = seeded(BranchNet()), normal(2, 3, 13, 22)
    replay, raw, _ = record(model, layer, x)
    versions = raw[1] * torch.tensor([0.5, 3.0])[:, None, None, None]
    start = model.net["stem"](x[1:])
    left = versions if layer == "net.left" else model.net["left"](start)
    right = versions if layer == "net.right" else model.net["right"](start)
    expected = model.pooled_head(model.net["body"](functional.relu(functional.relu(left) + right)).mean((2, 3)))
    for _ in range(2):
        torch.testing.assert_close(replay.run(versions.clone(), 1, x), expected)


@pytest.mark.parametrize("layer", ["net.layer2.0.downsample", "net.layer3", "net.layer4.1.conv1"])
@torch.no_grad()
def test_layers_of_a_real_network(layer: str) -> None:
    model, x = build_classifier("resnet18", num_outputs=4)[0].eval(), normal(2, 3, 64, 64)
    replay, raw, outputs = record(model, layer, x)
    found = replay.run(raw[1:].expand(3, -1, -1, -1).clone(), 1, x)
    torch.testing.assert_close(found, outputs[1].expand(3, -1), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_only_what_follows_the_layer_runs() -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 13, 22)
    replay, raw, outputs = record(model, "net.stem", x)
    model.net["stem"][0].weight.fill_(torch.nan)  # would reach the outputs if the convolution ran again
    torch.testing.assert_close(replay.run(raw, 0, x), outputs)


class Failing(nn.Module):
    """Fails once it is told to."""

    broken = False

    def forward(self, x: Tensor) -> Tensor:
        if self.broken:
            raise ValueError("a head that fails")
        return x


@torch.no_grad()
def test_the_network_is_left_as_it_was() -> None:
    failing = Failing()
    model, x = seeded(PooledNet(failing)), normal(1, 3, 13, 22)
    own = model.net["stem"][1].forward
    model.net["stem"][1].forward = own  # somebody else's wrapper stays
    before = describe_state(model)
    replay, raw, _ = record(model, "net.body", x)
    replay.run(raw, 0, x)
    failing.broken = True
    with pytest.raises(ValueError, match="a head that fails"):
        replay.run(torch.cat([raw, raw]), 0, x)
    check_same_state(before, describe_state(model))
    assert [name for name, module in model.named_modules() if "forward" in vars(module)] == ["net.stem.1"]
    assert model.net["stem"][1].forward is own
    assert not any(module._forward_pre_hooks for module in model.modules())
