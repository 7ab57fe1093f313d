"""Swin transformers of torchvision (Liu et al. 2021, 2022)."""

from __future__ import annotations

from torch import Tensor, nn

from wsl.models.classifier import MODELS, Classifier
from wsl.models.stride import check_stride
from wsl.models.torchvision_net import build_net

STRIDE = 32


class SwinClassifier(Classifier):
    """`features` and `norm` work channels-last; the map after `permute` is pooled; one linear layer."""

    def features(self, x: Tensor) -> Tensor:
        net = self.net
        return net.permute(net.norm(net.features(x)))

    def pooled_head(self, pooled: Tensor) -> Tensor:
        return self.net.head(pooled)

    def linear_head(self) -> nn.Linear:
        return self.net.head

    def tokens_to_map(self, output: Tensor, input_size: tuple[int, int]) -> Tensor:
        """(B, h, w, C) of the inner layers -> (B, C, h, w); maps that are channels-first already stay."""
        if output.ndim != 4:
            return super().tokens_to_map(output, input_size)
        rows, columns = input_size[0] // 4, input_size[1] // 4
        while rows > 1 or columns > 1:
            if tuple(output.shape[1:3]) == (rows, columns):
                return output.permute(0, 3, 1, 2)
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        inner = tuple(output.shape[1:3]) == (rows, columns)
        return output.permute(0, 3, 1, 2) if inner else super().tokens_to_map(output, input_size)


def build_swin(name: str, *, num_outputs: int | None, output_stride: int, head: str) -> SwinClassifier:
    """A Swin transformer with `num_outputs` logits at its own stride 32, with random weights."""
    check_stride(name, output_stride, allowed=(STRIDE,))
    net, outputs = build_net(name, num_outputs)
    if num_outputs is not None:
        net.head = nn.Linear(net.head.in_features, num_outputs)
    return SwinClassifier(
        net, name=name, num_outputs=outputs, output_stride=output_stride, head=head,
        default_layer="net.permute", head_prefixes=("head.",),
    )  # fmt: skip


for _name in ("swin_t", "swin_s", "swin_b", "swin_v2_t", "swin_v2_s", "swin_v2_b"):
    MODELS.register(_name)(build_swin)
