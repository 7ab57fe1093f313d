"""Vision transformer of torchvision (Dosovitskiy et al. 2021), for images of any size."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsl.models.classifier import MODELS, Classifier
from wsl.models.spatial import tokens_to_grid
from wsl.models.stride import check_stride
from wsl.models.torchvision_net import build_net

PATCHES = {"vit_b_16": 16, "vit_b_32": 32, "vit_l_16": 16, "vit_l_32": 32, "vit_h_14": 14}


class VitClassifier(Classifier):
    """Head "original": the class token decides. Head "pooled": the mean of the patch tokens and a linear layer.

    An image whose sides are no multiples of the patch is resampled to the nearest ones (bilinear), so that the
    token grid still covers exactly the whole image; the position embedding is resampled to the grid (bicubic).
    """

    @property
    def patch(self) -> int:
        """Side of a patch in pixels."""
        return self.net.patch_size

    def find_grid(self, input_size: tuple[int, int]) -> tuple[int, int]:
        """(rows, columns) of patch tokens for an input of (height, width)."""
        return max(1, round(input_size[0] / self.patch)), max(1, round(input_size[1] / self.patch))

    def encode(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> tokens (B, 1 + rows * columns, C), the class token first."""
        net, grid = self.net, self.find_grid((x.shape[2], x.shape[3]))
        size = (grid[0] * self.patch, grid[1] * self.patch)
        if size != tuple(x.shape[2:]):
            x = functional.interpolate(x, size, mode="bilinear", align_corners=False)
        patches = net.conv_proj(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([net.class_token.expand(len(x), -1, -1), patches], dim=1)
        tokens = tokens + resample_positions(net.encoder.pos_embedding, grid)
        return net.encoder.ln(net.encoder.layers(net.encoder.dropout(tokens)))

    def features(self, x: Tensor) -> Tensor:
        if not self.pooled:
            return super().features(x)
        return self.tokens_to_map(self.encode(x), (x.shape[2], x.shape[3]))

    def pooled_head(self, pooled: Tensor) -> Tensor:
        return self.net.heads(pooled) if self.pooled else super().pooled_head(pooled)

    def linear_head(self) -> nn.Linear | None:
        return self.net.heads.head if self.pooled else None

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.pooled else self.net.heads(self.encode(x)[:, 0])

    def tokens_to_map(self, output: Tensor, input_size: tuple[int, int]) -> Tensor:
        if output.ndim == 4:
            return output
        return tokens_to_grid(output, self.find_grid(input_size), 1, self.name)

    def adapt_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        adapted, name = dict(state), "encoder.pos_embedding"
        side = math.isqrt(self.net.encoder.pos_embedding.shape[1] - 1)
        if name in adapted:
            adapted[name] = resample_positions(adapted[name], (side, side))
        return adapted


def resample_positions(embedding: Tensor, grid: tuple[int, int]) -> Tensor:
    """Position embedding (1, 1 + n * n, C) of a square grid as (1, 1 + rows * columns, C), bicubic."""
    side = math.isqrt(embedding.shape[1] - 1)
    if (side, side) == grid:
        return embedding
    square = embedding[:, 1:].transpose(1, 2).reshape(1, -1, side, side)
    resampled = functional.interpolate(square, grid, mode="bicubic", align_corners=False)
    return torch.cat([embedding[:, :1], resampled.flatten(2).transpose(1, 2)], dim=1)


def build_vit(name: str, *, num_outputs: int | None, output_stride: int, head: str) -> VitClassifier:
    """A ViT with `num_outputs` logits at its own stride (the patch), with random weights."""
    check_stride(name, output_stride, allowed=(PATCHES[name],))
    net, outputs = build_net(name, num_outputs)
    if num_outputs is not None:
        net.heads.head = nn.Linear(net.heads.head.in_features, num_outputs)
    pooled = head == "pooled" and num_outputs is not None
    # the class token reads the patch tokens for the last time in the last block's attention
    layer = "net.encoder.ln" if pooled else f"net.encoder.layers.encoder_layer_{len(net.encoder.layers) - 1}.ln_1"
    return VitClassifier(
        net, name=name, num_outputs=outputs, output_stride=output_stride, head=head, pooled=pooled,
        default_layer=layer, head_prefixes=("heads.",),
    )  # fmt: skip


for _name in PATCHES:
    MODELS.register(_name)(build_vit)
