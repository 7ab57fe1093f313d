"""MobileNetV2 (Sandler et al. 2018) and MobileNetV3 (Howard et al. 2019) of torchvision."""

from __future__ import annotations

from torch import Tensor, nn

from wsl.models.classifier import MODELS, Classifier
from wsl.models.stride import check_stride, set_output_stride
from wsl.models.torchvision_net import build_net


class MobileNetClassifier(Classifier):
    """`features`, global average pooling, `classifier`: linear in V2; two layers in V3's published head."""

    def features(self, x: Tensor) -> Tensor:
        return self.net.features(x)

    def pooled_head(self, pooled: Tensor) -> Tensor:
        return self.net.classifier(pooled)

    def linear_head(self) -> nn.Linear | None:
        linear = [module for module in self.net.classifier if isinstance(module, nn.Linear)]
        return linear[0] if len(linear) == 1 else None


def build_mobilenet(name: str, *, num_outputs: int | None, output_stride: int, head: str) -> MobileNetClassifier:
    """A MobileNet with `num_outputs` logits at stride 8, 16 or 32, with random weights.

    V3 with head "pooled" and a given `num_outputs` gets one linear layer in place of its two, so that the class
    activation map is exact.
    """
    check_stride(name, output_stride)
    net, outputs = build_net(name, num_outputs)
    if num_outputs is not None:
        _replace_head(net.classifier, num_outputs, linear=head == "pooled")
    set_output_stride(net.features, output_stride)
    return MobileNetClassifier(
        net, name=name, num_outputs=outputs, output_stride=output_stride, head=head,
        default_layer="net.features", head_prefixes=("classifier.",),
    )  # fmt: skip


def _replace_head(layers: nn.Sequential, num_outputs: int, linear: bool) -> None:
    last = layers[-1]
    layers[-1] = nn.Linear(last.in_features, num_outputs)
    if linear and isinstance(layers[0], nn.Linear):  # V3: Linear, Hardswish, Dropout, Linear
        channels = layers[0].in_features
        del layers[:2]
        layers[-1] = nn.Linear(channels, num_outputs)


for _name in ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"):
    MODELS.register(_name)(build_mobilenet)
