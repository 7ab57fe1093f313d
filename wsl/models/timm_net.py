"""Any classifier of the timm library, as "timm/<name>" (Wightman 2019; needs the extra `timm`).

What the network does between its map and its logits is not guessed from its class: a probe image decides whether
"mean over the map, then forward_head" gives the network's own logits, and whether that head is one linear layer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsl.errors import ConfigError, MissingExtraError, ModelError, suggest
from wsl.models.classifier import Classifier
from wsl.models.spatial import to_channels_first, tokens_to_grid
from wsl.models.stride import check_stride

PREFIX = "timm/"
# options of some of timm's networks that lift the restriction to one image size
ANY_SIZE: tuple[dict[str, bool], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})
TOLERANCE = 1e-4


class TimmClassifier(Classifier):
    """timm's network through `forward_features` and `forward_head`; maps that are channels-last are turned."""

    def __init__(self, net: nn.Module, *, channels_last: bool, linear: bool, **settings: Any) -> None:
        super().__init__(net, **settings)
        self.channels_last = channels_last
        self.linear = linear
        self.last_map = nn.Identity()

    def features(self, x: Tensor) -> Tensor:
        if not self.pooled:
            return super().features(x)
        output = self.net.forward_features(x)
        return self.last_map(output.permute(0, 3, 1, 2) if self.channels_last else output)

    def pooled_head(self, pooled: Tensor) -> Tensor:
        if not self.pooled:
            return super().pooled_head(pooled)
        return _run_head(self.net, pooled, self.channels_last)

    def linear_head(self) -> nn.Linear | None:
        return self.net.get_classifier() if self.linear else None

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.pooled else self.net(_fit_to_patch(self.net, x))

    def tokens_to_map(self, output: Tensor, input_size: tuple[int, int]) -> Tensor:
        """Tokens (B, prefix + rows * columns, C) or a map in either order -> (B, C, h, w)."""
        if output.ndim == 4:
            return to_channels_first(output, input_size, self.name, self.channels_last)
        grid = _find_grid(self.net, input_size)
        without = output.shape[1:2] == (grid[0] * grid[1],)  # CaiT, XCiT: the class token comes in late
        return tokens_to_grid(output, grid, 0 if without else getattr(self.net, "num_prefix_tokens", 0), self.name)


def build_timm(name: str, *, num_outputs: int | None, output_stride: int, head: str) -> TimmClassifier:
    """timm's network `name` ("timm/resnet26d") with `num_outputs` logits and random weights."""
    net = _create(name, {} if num_outputs is None else {"num_classes": num_outputs}, output_stride)
    channels_last, pooled, linear = _probe(net)
    config = net.pretrained_cfg
    return TimmClassifier(
        net, channels_last=channels_last, linear=linear, name=name, num_outputs=net.num_classes, head=head,
        output_stride=output_stride, pooled=pooled, head_prefixes=_find_head_prefixes(net),
        default_layer="last_map" if pooled else _find_layer(net, name),
        mean=tuple(config["mean"]), std=tuple(config["std"]),
    )  # fmt: skip


def download_timm(name: str) -> dict[str, Tensor]:
    """timm's published weights of the network `name`; ModelError when they cannot be had."""
    timm = _import_timm(name)
    try:
        return timm.create_model(name.removeprefix(PREFIX), pretrained=True).state_dict()
    except Exception as error:  # the hub client raises errors of a dozen libraries
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"The published weights of {name} could not be downloaded ({reason.rstrip('.')}); "
            "a local file can be given by model.weights=FILE."
        ) from None


def _import_timm(name: str) -> Any:
    try:
        import timm
    except ImportError:
        raise MissingExtraError(f"Model {name}", "timm", "timm", "choose a model without 'timm/'") from None
    return timm


def _create(name: str, options: dict[str, Any], output_stride: int) -> nn.Module:
    timm, short = _import_timm(name), name.removeprefix(PREFIX)
    if not timm.is_model(short):
        raise ConfigError(f"Unknown timm model '{short}'.{suggest(short, timm.list_models())}")
    net = _create_any_size(timm, short, options)
    own = _find_stride(net)
    if output_stride == own:
        return net
    try:
        return timm.create_model(short, output_stride=output_stride, **options)
    except (TypeError, AssertionError, NotImplementedError, ValueError, RuntimeError):
        check_stride(name, output_stride, allowed=(own,))
        raise


def _create_any_size(timm: Any, short: str, options: dict[str, Any]) -> nn.Module:
    for extra in ANY_SIZE:
        try:
            return timm.create_model(short, **options, **extra)
        except TypeError:
            continue
    raise ModelError(f"timm/{short} could not be built with options {options}.")


def _find_stride(net: nn.Module) -> int:
    info = getattr(net, "feature_info", None)
    return int(info[-1]["reduction"]) if info else 32


def _find_layer(net: nn.Module, name: str) -> str:
    if hasattr(net, "patch_embed") and hasattr(net, "blocks") and hasattr(net.blocks[-1], "norm1"):
        if getattr(net, "global_pool", "") == "avg" and hasattr(net, "norm"):
            return "net.norm"  # the head reads the mean of its patch tokens
        return f"net.blocks.{len(net.blocks) - 1}.norm1"  # the class token reads the patches here for the last time
    info = getattr(net, "feature_info", None)
    if not info:
        raise ModelError(f"{name}: no layer with a spatial map is known for it; choose another model.")
    return f"net.{info[-1]['module']}"


def _find_head_prefixes(net: nn.Module) -> tuple[str, ...]:
    named = net.pretrained_cfg.get("classifier") or "head"
    return tuple(f"{part}." for part in ([named] if isinstance(named, str) else named))


def _probe(net: nn.Module) -> tuple[bool, bool, bool]:
    """(map is channels-last, logits are the head of the pooled map, that head is one linear layer)."""
    training = net.training
    net.eval()
    x = torch.linspace(-1, 1, 3 * _probe_side(net) ** 2).reshape(1, 3, _probe_side(net), _probe_side(net))
    with torch.no_grad():
        output = net.forward_features(x)
        last = getattr(net, "output_fmt", "NCHW") == "NHWC"
        pooled = isinstance(output, Tensor) and output.ndim == 4 and _pools(net, x, output, last)
        linear = pooled and _is_linear(net, output.mean((1, 2) if last else (2, 3)), last)
    net.train(training)
    return last, pooled, linear


def _probe_side(net: nn.Module) -> int:
    return int(net.pretrained_cfg.get("input_size", (3, 224, 224))[1])


def _pools(net: nn.Module, x: Tensor, output: Tensor, last: bool) -> bool:
    try:
        logits = _run_head(net, output.mean((1, 2) if last else (2, 3)), last)
    except RuntimeError:  # a head that needs the whole map
        return False
    return logits.ndim == 2 and torch.allclose(logits, net(x), atol=TOLERANCE, rtol=TOLERANCE)


def _is_linear(net: nn.Module, pooled: Tensor, last: bool) -> bool:
    linear = net.get_classifier()
    fits = isinstance(linear, nn.Linear) and linear.in_features == pooled.shape[1]
    # twice the input: a normalisation in between would not show at every scale
    return fits and all(
        torch.allclose(linear(scale * pooled), _run_head(net, scale * pooled, last), atol=TOLERANCE, rtol=TOLERANCE)
        for scale in (1.0, 2.0)
    )


def _run_head(net: nn.Module, pooled: Tensor, channels_last: bool) -> Tensor:
    return net.forward_head(pooled[:, None, None, :] if channels_last else pooled[:, :, None, None])


def _find_grid(net: nn.Module, input_size: tuple[int, int]) -> tuple[int, int]:
    embed = getattr(net, "patch_embed", None)
    if embed is None:
        raise ModelError("This network has no patch tokens: choose a layer with output (B, C, h, w).")
    rows, columns = embed.patch_size
    return max(1, round(input_size[0] / rows)), max(1, round(input_size[1] / columns))


def _fit_to_patch(net: nn.Module, x: Tensor) -> Tensor:
    """Resamples images whose sides are no multiples of a plain ViT's patch, so that the grid covers all of them."""
    if not hasattr(net, "patch_embed") or not hasattr(net, "num_prefix_tokens"):
        return x
    rows, columns = _find_grid(net, (x.shape[2], x.shape[3]))
    size = (rows * net.patch_embed.patch_size[0], columns * net.patch_embed.patch_size[1])
    if size == tuple(x.shape[2:]):
        return x
    return functional.interpolate(x, size, mode="bilinear", align_corners=False)
