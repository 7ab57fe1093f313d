"""Hand-made classifiers whose maps are easy to reason about, and what a call must leave untouched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from wsl.models.classifier import Classifier
from wsl.models.vit import VitClassifier


class PooledNet(Classifier):
    """Two convolutions (stride 4 in all), global average pooling, then `after` and one linear layer."""

    def __init__(self, after: nn.Module | None = None, channels: int = 5, outputs: int = 6) -> None:
        stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        body = nn.Sequential(nn.Conv2d(4, channels, 3, 2, 1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        net = nn.ModuleDict(
            {
                "stem": stem,
                "body": body,
                "after": after or nn.Identity(),
                "unused": nn.Conv2d(3, 2, 1),
                "head": nn.Linear(channels, outputs),
            }
        )
        super().__init__(
            net, name="pooled_net", num_outputs=outputs, output_stride=4, default_layer="net.body",
            head_prefixes=("head",),
        )  # fmt: skip
        self.plain = after is None

    def features(self, x: Tensor) -> Tensor:
        return self.net["body"](self.net["stem"](x))

    def pooled_head(self, pooled: Tensor) -> Tensor:
        return self.net["head"](self.net["after"](pooled))

    def linear_head(self) -> nn.Linear | None:
        return self.net["head"] if self.plain else None


class FlatNet(Classifier):
    """A head that sees the whole map: an in-place ReLU behind the target layer, then a linear layer per position."""

    def __init__(self, side: int = 4, channels: int = 3, outputs: int = 4) -> None:
        net = nn.ModuleDict(
            {
                "stem": nn.Conv2d(3, channels, 3, 2, 1),
                "target": nn.Conv2d(channels, channels, 1),
                "inplace": nn.ReLU(inplace=True),
                "head": nn.Linear(channels * side * side, outputs),
            }
        )
        super().__init__(
            net, name="flat_net", num_outputs=outputs, output_stride=2, default_layer="net.target",
            head_prefixes=("head",), pooled=False, head="original",
        )  # fmt: skip

    def tail(self, activation: Tensor) -> Tensor:
        """What lies behind the target layer: (B, C, h, w) -> logits; the residual keeps it from being linear."""
        hidden = self.net["inplace"](activation)
        hidden = hidden + hidden**2
        return self.net["head"](hidden.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.net["target"](self.net["stem"](x)))


class TwiceNet(PooledNet):
    """Runs its second convolution's activation twice."""

    def features(self, x: Tensor) -> Tensor:
        return self.net["body"][2](super().features(x))


class PairNet(PooledNet):
    """Has a layer whose output is a pair."""

    def __init__(self) -> None:
        super().__init__()
        self.net["pair"] = _Pair()

    def features(self, x: Tensor) -> Tensor:
        return self.net["pair"](super().features(x))[0]


class _Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def build_tiny_vit(outputs: int = 3) -> VitClassifier:
    """Two blocks of 12 channels, patches of 8 pixels, a class token that decides."""
    net = VisionTransformer(16, 8, 2, 2, 12, 24, num_classes=outputs)
    nn.init.normal_(net.heads.head.weight)  # the published start is all zeros
    return VitClassifier(
        net, name="tiny_vit", num_outputs=outputs, output_stride=8, pooled=False, head="original",
        default_layer="net.encoder.layers.encoder_layer_1.ln_1", head_prefixes=("heads.",),
    )  # fmt: skip


def seeded(model: Any, seed: int = 0) -> Any:
    """The same network with normal weights of a fixed seed and lively batch statistics, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator) * 0.5)
                if "running_var" in name or ("weight" in name and value.ndim == 1):
                    value.abs_().add_(0.5)
    return model.eval()


def describe_state(model: nn.Module) -> Mapping[str, Any]:
    """Everything of a model that a call must leave as it was."""
    return {
        "values": {name: value.clone() for name, value in model.state_dict().items()},
        "modes": [module.training for module in model.modules()],
        "modules": [id(module) for module in model.modules()],
        "hooks": [len(module._forward_hooks) + len(module._backward_hooks) for module in model.modules()],
        "gradients": [None if each.grad is None else each.grad.clone() for each in model.parameters()],
        "frozen": [each.requires_grad for each in model.parameters()],
    }


def check_same_state(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Fails with the first difference."""
    torch.testing.assert_close(after["values"], before["values"], rtol=0, atol=0)
    torch.testing.assert_close(after["gradients"], before["gradients"], rtol=0, atol=0)
    for key in ("modes", "modules", "hooks", "frozen"):
        assert after[key] == before[key], key
