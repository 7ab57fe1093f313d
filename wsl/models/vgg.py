"""VGG of torchvision (Simonyan & Zisserman 2015), and VGG with global average pooling (Zhou et al. 2016)."""

from __future__ import annotations

from torch import Tensor, nn

from wsl.models.classifier import MODELS, Classifier
from wsl.models.stride import check_stride, dilate
from wsl.models.torchvision_net import build_net

LAYOUTS = {"vgg11": "A", "vgg13": "B", "vgg16": "D", "vgg19": "E"}


class PooledVggNet(nn.Module):
    """The convolutions of VGG under their own names, and one linear layer: its 120 million others are not built."""

    def __init__(self, name: str, num_outputs: int) -> None:
        super().__init__()
        from torchvision.models.vgg import cfgs, make_layers

        plain = name.removesuffix("_bn")
        self.features = make_layers(cfgs[LAYOUTS[plain]], batch_norm=name != plain)
        self.classifier = nn.Linear(512, num_outputs)
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)


class PooledVggClassifier(Classifier):
    """VGG's convolutions, global average pooling, one linear layer."""

    def features(self, x: Tensor) -> Tensor:
        return self.net.features(x)

    def pooled_head(self, pooled: Tensor) -> Tensor:
        return self.net.classifier(pooled)

    def linear_head(self) -> nn.Linear:
        return self.net.classifier


class OriginalVggClassifier(Classifier):
    """VGG with its three fully connected layers on a 7x7 grid: for Grad-CAM only."""

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def build_vgg(name: str, *, num_outputs: int | None, output_stride: int, head: str) -> Classifier:
    """A VGG at stride 8, 16 or 32, with random weights.

    Head "pooled" with a given `num_outputs`: global average pooling and a linear layer. Otherwise its own head.
    """
    check_stride(name, output_stride)
    if num_outputs is not None and head == "pooled":
        net: nn.Module = PooledVggNet(name, num_outputs)
        _drop_poolings(net.features, output_stride)
        return PooledVggClassifier(
            net, name=name, num_outputs=num_outputs, output_stride=output_stride, head=head,
            default_layer="net.features", head_prefixes=("classifier.",),
        )  # fmt: skip
    net, outputs = build_net(name, num_outputs)
    if num_outputs is not None:
        net.classifier[-1] = nn.Linear(net.classifier[-1].in_features, num_outputs)
    _drop_poolings(net.features, output_stride)
    # conv5_3 after its ReLU, which is what Grad-CAM's paper uses: the layer before the last pooling
    last_map = len(net.features) - 2
    return OriginalVggClassifier(
        net, name=name, num_outputs=outputs, output_stride=output_stride, head=head, pooled=False,
        default_layer=f"net.features.{last_map}", head_prefixes=("classifier.6.",),
    )  # fmt: skip


def _drop_poolings(features: nn.Sequential, output_stride: int) -> None:
    total, dilation = 1, 1
    for index, module in enumerate(features):
        if isinstance(module, nn.Conv2d):
            dilate(module, dilation)
        elif isinstance(module, nn.MaxPool2d) and total * 2 > output_stride:
            features[index] = nn.Identity()
            dilation *= 2
        elif isinstance(module, nn.MaxPool2d):
            total *= 2


for _plain in LAYOUTS:
    MODELS.register(_plain)(build_vgg)
    MODELS.register(f"{_plain}_bn")(build_vgg)
