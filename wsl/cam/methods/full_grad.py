"""FullGrad: M_c = psi(x dx) + sum over biases b of psi(b dz). Srinivas and Fleuret, NeurIPS 2019, section 4.3.

dx and dz are gradients of y_c; z is what a bias was added to: the output of a convolution, of a linear layer at every
position, of a batch norm, whose bias is beta - mean gamma / sqrt(variance + eps), or of a group or layer norm on maps,
whose bias is beta. psi is the absolute value, brought to [0, 1] over all channels of the layer together, resized to the
input and summed over channels. Resizing is linear, so channels and layers of one size are summed before it. In a
network of ReLUs, x dx and all b dz add up to y_c; group and layer norms are no linear functions, so with them the sum
is another. Biases of tokens (B, T, C) are left out.

With batch norms folded into convolutions the map is the same if these convolutions have no bias of their own; otherwise
two terms become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsl.cam.method import METHODS, CamMethod, check_targets
from wsl.cam.targets import Targets
from wsl.cam.trace import Trace
from wsl.errors import ConfigError
from wsl.models.classifier import Classifier
from wsl.models.spatial import AROUND, compute_misfit

Size = tuple[int, int]


@METHODS.register("full_grad")
@dataclass(frozen=True)
class FullGrad(CamMethod):
    """Maps (K, H, W) at the size of the network's input; it sees every layer, so none can be chosen."""

    needs = frozenset({"bias_gradients"})

    def check_fit(self, model: Classifier, layers: Sequence[str]) -> None:
        if layers:
            raise ConfigError(f"cam.method=full_grad uses every layer: expected no layer, but got '{layers[0]}'.")

    def compute_maps(self, trace: Trace, layer: str | None, targets: Targets) -> list[Tensor]:
        check_targets(targets, len(trace.images))
        terms = [_Term(trace.images, trace.leaf, 0), *_bias_terms(trace)]
        maps = [trace.images.new_zeros((len(each), *trace.size), dtype=torch.float32) for each in targets]
        for slot in range(max((len(each) for each in targets), default=0)):
            # one target per image at a time: the gradients of all layers are in memory together
            _add_slot(trace, terms, [each[slot : slot + 1] for each in targets], maps, slot)
        return maps


@dataclass(frozen=True)
class _Term:
    """`factor` (B, ...) times the gradient by `tensor` (B, ...); in one image, the axis `channels` counts channels."""

    factor: Tensor
    tensor: Tensor
    channels: int

    def saliency(self, slope: Tensor, row: int) -> Tensor:
        """Gradient of an image -> (h, w): to [0, 1] over all channels, then summed over them; constants give zeros."""
        product = (self.factor[row].float() * slope.float()).abs()
        low, high = torch.aminmax(product)
        return torch.where(high > low, (product - low) / (high - low), 0).sum(self.channels)


def _bias_terms(trace: Trace) -> list[_Term]:
    """Of biases that were added to maps; a vector has no place in the image."""
    found = []
    for module, output in trace.biases.calls:
        bias = find_bias(module)
        if bias is None or output.ndim != 4 or not output.requires_grad:
            continue
        axis = find_channel_axis(module, bias, output)
        if isinstance(module, (nn.GroupNorm, nn.LayerNorm)) and not _is_map(output, axis, trace):
            continue
        factor = bias if axis == 2 or bias.ndim > 1 else bias[:, None, None]
        found.append(_Term(factor.expand(len(output), *factor.shape), output, axis))
    return found


def find_channel_axis(module: nn.Module, bias: Tensor, output: Tensor) -> int:
    """The axis of one image's output that counts channels: 0, or 2 where the network works channels-last.

    A layer norm over C alone is channels-last, unless it is of a class that turns the axes inside (torchvision's and
    timm's LayerNorm2d): where C fits the first axis, and not the last or both and it is a class of its own.
    """
    if isinstance(module, nn.Linear):
        return 2
    if not isinstance(module, nn.LayerNorm) or bias.ndim > 1:
        return 0
    first, last = (output.shape[axis] == len(bias) for axis in (1, 3))
    return 0 if first and (not last or type(module) is not nn.LayerNorm) else 2


def _is_map(output: Tensor, axis: int, trace: Trace) -> bool:
    """Not the queries and keys of attention, which some networks normalise, nor a pooled vector."""
    sides = output.shape[2:] if axis == 0 else output.shape[1:3]
    one_each = len(output) == len(trace.images) and sides.numel() > 1
    return one_each and compute_misfit(sides, trace.size) <= AROUND


def find_bias(module: nn.Module) -> Tensor | None:
    """(C,), float32 for a batch norm: what a module adds to a linear function of its input; None for nothing."""
    bias: Tensor | None = module.bias.detach() if isinstance(module.bias, Tensor) else None
    if not isinstance(module, nn.BatchNorm2d) or module.running_mean is None or module.running_var is None:
        return bias
    scale = (module.running_var.float() + module.eps).rsqrt()
    scale = scale if module.weight is None else scale * module.weight.detach().float()
    shift = -module.running_mean.float() * scale
    return shift if bias is None else shift + bias.float()


def _add_slot(trace: Trace, terms: list[_Term], targets: Targets, maps: list[Tensor], slot: int) -> None:
    gradients = trace.differentiate([term.tensor for term in terms], targets)
    for row, each in enumerate(targets):
        if each:
            parts = [term.saliency(slopes[row][0], row) for term, slopes in zip(terms, gradients, strict=True)]
            maps[row][slot] = _sum_resized(parts, trace.size)


def _sum_resized(parts: list[Tensor], size: Size) -> Tensor:
    """Sum (H, W) of maps of several sizes (h, w); each size is resized once."""
    sums: dict[tuple[int, ...], Tensor] = {}
    for each in parts:
        sums[tuple(each.shape)] = sums[tuple(each.shape)] + each if tuple(each.shape) in sums else each
    return torch.stack([_resize(each, size) for each in sums.values()]).sum(0)


def _resize(each: Tensor, size: Size) -> Tensor:
    if tuple(each.shape) == size:
        return each
    return functional.interpolate(each[None, None], size, mode="bilinear", align_corners=True)[0, 0]
