"""ResNet, ResNeXt and Wide ResNet of torchvision (He et al. 2016; Xie et al. 2017; Zagoruyko & Komodakis 2016)."""

from __future__ import annotations

from torch import Tensor, nn

from wsl.models.classifier import MODELS, Classifier
from wsl.models.stride import check_stride, set_output_stride
from wsl.models.torchvision_net import build_net

NAMES = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
    "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2",
)  # fmt: skip


class ResNetClassifier(Classifier):
    """Global average pooling and one linear layer on the output of `layer4`."""

    def features(self, x: Tensor) -> Tensor:
        net = self.net
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        return net.layer4(net.layer3(net.layer2(net.layer1(x))))

    def pooled_head(self, pooled: Tensor) -> Tensor:
        return self.net.fc(pooled)

    def linear_head(self) -> nn.Linear:
        return self.net.fc


def build_resnet(name: str, *, num_outputs: int | None, output_stride: int, head: str) -> ResNetClassifier:
    """A ResNet with `num_outputs` logits at stride 8, 16 or 32, with random weights."""
    check_stride(name, output_stride)
    net, outputs = build_net(name, num_outputs)
    if num_outputs is not None:
        net.fc = nn.Linear(net.fc.in_features, num_outputs)
    set_output_stride(net, output_stride)
    return ResNetClassifier(
        net, name=name, num_outputs=outputs, output_stride=output_stride, head=head,
        default_layer="net.layer4", head_prefixes=("fc.",),
    )  # fmt: skip


for _name in NAMES:
    MODELS.register(_name)(build_resnet)
