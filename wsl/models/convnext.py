"""ConvNeXt of torchvision (Liu et al. 2022)."""

from __future__ import annotations

from torch import Tensor, nn

from wsl.models.classifier import MODELS, Classifier
from wsl.models.stride import check_stride
from wsl.models.torchvision_net import build_net


class ConvNeXtClassifier(Classifier):
    """`features`, global average pooling, then LayerNorm and one linear layer: the head is not linear in the map."""

    def features(self, x: Tensor) -> Tensor:
        return self.net.features(x)

    def pooled_head(self, pooled: Tensor) -> Tensor:
        return self.net.classifier(pooled[:, :, None, None])


def build_convnext(name: str, *, num_outputs: int | None, output_stride: int, head: str) -> ConvNeXtClassifier:
    """A ConvNeXt with `num_outputs` logits at its own stride 32, with random weights."""
    check_stride(name, output_stride, allowed=(32,))
    net, outputs = build_net(name, num_outputs)
    if num_outputs is not None:
        net.classifier[-1] = nn.Linear(net.classifier[-1].in_features, num_outputs)
    return ConvNeXtClassifier(
        net, name=name, num_outputs=outputs, output_stride=output_stride, head=head,
        default_layer="net.features", head_prefixes=("classifier.2.",),
    )  # fmt: skip


for _name in ("convnext_tiny", "convnext_small", "convnext_base", "convnext_large"):
    MODELS.register(_name)(build_convnext)
