"""What the rest of the program sees of a network: features before the pooling, the head after it, the layer to hook.

`logits == pooled_head(features(x).mean((2, 3)))` holds for every pooled classifier, so class activation maps come
from one forward pass; the others (VGG's fully connected head, a ViT's class token) have `forward` and hooks only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from wsl.errors import ConfigError, ModelError
from wsl.registry import Registry

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LABEL_MODES = ("single", "multi")
HEADS = ("pooled", "original")


class Classifier(nn.Module):
    """A network `net` with its own parameter names, and what is needed to look inside it.

    name: registry name. num_outputs: length O of the logits. output_stride: input pixels per feature position.
    pooled: whether `features` and `pooled_head` exist. default_layer: dotted name of the module inside this one
    whose output is the last spatial map. head: "pooled" or "original". head_prefixes: names of the modules of
    `net` that belong to the class outputs. mean, std: of the RGB input in [0, 1].
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        name: str,
        num_outputs: int,
        output_stride: int,
        default_layer: str,
        head_prefixes: tuple[str, ...],
        pooled: bool = True,
        head: str = "pooled",
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.net = net
        self.name = name
        self.num_outputs = num_outputs
        self.output_stride = output_stride
        self.default_layer = default_layer
        self.head_prefixes = head_prefixes
        self.pooled = pooled
        self.head = head
        self.mean = mean
        self.std = std

    def features(self, x: Tensor) -> Tensor:
        """The activations that the global average pooling sees: (B, 3, H, W) normalised images -> (B, C, h, w)."""
        raise ModelError(f"{self.name} with its own head has no global average pooling: use Grad-CAM, or head=pooled.")

    def pooled_head(self, pooled: Tensor) -> Tensor:
        """Everything after the pooling: (B, C) -> logits (B, O)."""
        raise ModelError(f"{self.name} with its own head has no global average pooling: use Grad-CAM, or head=pooled.")

    def linear_head(self) -> nn.Linear | None:
        """The linear layer when `pooled_head` is just dropout and this layer, otherwise None."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, O) of normalised images (B, 3, H, W)."""
        return self.pooled_head(self.features(x).mean((2, 3)))

    def tokens_to_map(self, output: Tensor, input_size: tuple[int, int]) -> Tensor:
        """Output of a hooked layer as (B, C, h, w). Identity for 4-D maps; transformers override it.

        input_size: (height, width) of the network's input, needed for the token grid of non-square images.
        """
        if output.ndim != 4:
            raise ModelError(
                f"{self.name}: expected a layer with output (B, C, h, w), but got shape {tuple(output.shape)}; "
                f"choose a convolutional layer such as '{self.default_layer}'."
            )
        return output

    def adapt_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of `net` made to fit this instance (a ViT resamples its position embedding)."""
        return dict(state)


# builder(name, num_outputs=..., output_stride=..., head=...): num_outputs None keeps the published ImageNet head
Builder = Callable[..., Classifier]
MODELS: Registry[Builder] = Registry("model")


def predict_probabilities(classifier: Classifier, images: Tensor, label_mode: str) -> Tensor:
    """Probabilities (B, O) float32 of normalised images (B, 3, H, W).

    label_mode "single": softmax over the outputs; "multi": a sigmoid for each.
    """
    if label_mode not in LABEL_MODES:
        raise ConfigError(f"label_mode: expected one of {LABEL_MODES}, but got '{label_mode}'.")
    with torch.inference_mode():
        logits = classifier(images).float()
        return logits.softmax(1) if label_mode == "single" else logits.sigmoid()
