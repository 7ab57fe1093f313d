"""DenseNet of torchvision (Huang et al. 2017)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from wsl.models.classifier import MODELS, Classifier
from wsl.models.stride import DilatedAvgPool, check_stride, dilate
from wsl.models.torchvision_net import build_net

# published files still have "norm.1" where the network has "norm1"
OLD_NAME = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$")


class DenseNetClassifier(Classifier):
    """`features` ends with a batch norm without activation; the ReLU before the pooling is `activation` here."""

    def __init__(self, net: nn.Module, **settings: object) -> None:
        super().__init__(net, **settings)  # type: ignore[arg-type]
        self.activation = nn.ReLU()

    def features(self, x: Tensor) -> Tensor:
        return self.activation(self.net.features(x))

    def pooled_head(self, pooled: Tensor) -> Tensor:
        return self.net.classifier(pooled)

    def linear_head(self) -> nn.Linear:
        return self.net.classifier

    def adapt_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {OLD_NAME.sub(r"\1\2", name): value for name, value in state.items()}


def build_densenet(name: str, *, num_outputs: int | None, output_stride: int, head: str) -> DenseNetClassifier:
    """A DenseNet with `num_outputs` logits at stride 8, 16 or 32, with random weights."""
    check_stride(name, output_stride)
    net, outputs = build_net(name, num_outputs)
    if num_outputs is not None:
        net.classifier = nn.Linear(net.classifier.in_features, num_outputs)
    _dilate_transitions(net.features, output_stride)
    return DenseNetClassifier(
        net, name=name, num_outputs=outputs, output_stride=output_stride, head=head,
        default_layer="activation", head_prefixes=("classifier.",),
    )  # fmt: skip


def _dilate_transitions(features: nn.Sequential, output_stride: int) -> None:
    total, dilation = 4, 1  # conv0 and pool0
    for name, block in features.named_children():
        for module in block.modules():
            if isinstance(module, nn.Conv2d):
                dilate(module, dilation)
        if name.startswith("transition") and total * 2 > output_stride:
            block.pool = DilatedAvgPool(dilation)
            dilation *= 2
        elif name.startswith("transition"):
            total *= 2


for _name in ("densenet121", "densenet161", "densenet169", "densenet201"):
    MODELS.register(_name)(build_densenet)
