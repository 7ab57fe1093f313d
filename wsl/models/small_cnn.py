"""A compact CNN that learns small, drawn or plain images from scratch on a CPU in under a minute."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from wsl.errors import ConfigError
from wsl.models.classifier import MODELS, Classifier

WIDTHS = (16, 32, 64, 128)
FEATURES = WIDTHS[-1]
OWN_STRIDE = 8  # three of the four stages halve the map
PLAIN_MEAN = (0.5, 0.5, 0.5)
PLAIN_STD = (0.25, 0.25, 0.25)


def _unit(channels_in: int, channels_out: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(channels_out), nn.ReLU()]


def _stage(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(*_unit(channels_in, channels_out, stride), *_unit(channels_out, channels_out, 1))


def _build_net(num_outputs: int) -> nn.Sequential:
    stages = nn.Sequential(
        nn.Sequential(*_unit(3, WIDTHS[0], 2)),
        _stage(WIDTHS[0], WIDTHS[1], 2),
        _stage(WIDTHS[1], WIDTHS[2], 2),
        nn.Sequential(*_unit(WIDTHS[2], WIDTHS[3], 1)),
    )
    return nn.Sequential(OrderedDict(stages=stages, head=nn.Linear(FEATURES, num_outputs)))


class SmallCNN(Classifier):
    """Four stages of 3x3 convolutions (16, 32, 64, 128 channels), global average pooling and one linear layer.

    Output stride 8; 0.14 million parameters; any input of at least 8 x 8 pixels. There are no published weights:
    it is trained from scratch.
    """

    def __init__(self, num_outputs: int) -> None:
        super().__init__(
            _build_net(num_outputs),
            name="small_cnn",
            num_outputs=num_outputs,
            output_stride=OWN_STRIDE,
            default_layer="net.stages",
            head_prefixes=("head",),
            mean=PLAIN_MEAN,
            std=PLAIN_STD,
        )

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, 128, ceil(H / 8), ceil(W / 8)), never negative."""
        return self.net.stages(x)

    def pooled_head(self, pooled: Tensor) -> Tensor:
        """(B, 128) -> logits (B, O)."""
        return self.net.head(pooled)

    def linear_head(self) -> nn.Linear:
        """The one linear layer."""
        return self.net.head


@MODELS.register("small_cnn")
def build_small_cnn(name: str, *, num_outputs: int | None, output_stride: int, head: str) -> SmallCNN:
    """SmallCNN for `num_outputs` classes; ConfigError for any stride but its own 8, and without `num_outputs`."""
    if output_stride != 8:
        raise ConfigError(f"model {name}: expected model.output_stride=8, its only one, but got {output_stride}.")
    if num_outputs is None:
        raise ConfigError(f"model {name}: expected the number of outputs, because there is no ImageNet head for it.")
    return SmallCNN(num_outputs)
