"""EfficientNet (Tan & Le 2019) and EfficientNetV2 (Tan & Le 2021) of torchvision."""

from __future__ import annotations

from torch import Tensor, nn

from wsl.models.classifier import MODELS, Classifier
from wsl.models.stride import check_stride, set_output_stride
from wsl.models.torchvision_net import build_net

NAMES = tuple(f"efficientnet_b{size}" for size in range(8)) + tuple(f"efficientnet_v2_{size}" for size in "sml")


class EfficientNetClassifier(Classifier):
    """`features` (they end with SiLU, so may be slightly negative), global average pooling, one linear layer."""

    def features(self, x: Tensor) -> Tensor:
        return self.net.features(x)

    def pooled_head(self, pooled: Tensor) -> Tensor:
        return self.net.classifier(pooled)

    def linear_head(self) -> nn.Linear:
        return self.net.classifier[-1]


def build_efficientnet(name: str, *, num_outputs: int | None, output_stride: int, head: str) -> EfficientNetClassifier:
    """An EfficientNet with `num_outputs` logits at stride 8, 16 or 32, with random weights."""
    check_stride(name, output_stride)
    net, outputs = build_net(name, num_outputs)
    if num_outputs is not None:
        net.classifier[-1] = nn.Linear(net.classifier[-1].in_features, num_outputs)
    set_output_stride(net.features, output_stride)
    return EfficientNetClassifier(
        net, name=name, num_outputs=outputs, output_stride=output_stride, head=head,
        default_layer="net.features", head_prefixes=("classifier.",),
    )  # fmt: skip


for _name in NAMES:
    MODELS.register(_name)(build_efficientnet)
