"""Any network as a `Classifier`: what it is made of is found out by watching it run, and proven by numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from wsl.errors import ModelError, suggest
from wsl.models.classifier import IMAGENET_MEAN, IMAGENET_STD, Classifier
from wsl.models.probe import Call, Probe, Size, describe_refusal, evaluating, find_outputs, probe_noise
from wsl.models.spatial import to_channels_first, tokens_to_grid

TOLERANCE = 1e-4  # of the largest value
CHANGE_TOLERANCE = 1e-2  # of the largest difference between two images, which may be small beside the values
MAX_PREFIX = 16  # class, distillation and register tokens
LEVELS = 6  # halvings of the token grid that a hierarchical network may do
WITHOUT_EFFECT = (nn.Dropout, nn.Identity, nn.Flatten)
MISFITS = ("cannot be multiplied", "must match", "invalid for input of size")  # of a size that a head cannot take


@dataclass(frozen=True)
class Layout:
    """patch: (height, width) in pixels, None without tokens. prefix: number of tokens before those of the grid."""

    patch: Size | None = None
    prefix: int = 0

    def to_map(self, output: Tensor, size: Size, name: str) -> Tensor:
        """A layer's output as (B, C, h, w); ModelError when it is neither a map nor tokens of the grid."""
        if output.ndim != 3 or self.patch is None:
            if output.ndim != 4:
                instead = "one before the pooling" if output.ndim == 2 else "another layer"
                raise ModelError(
                    f"{name}: expected a layer with a map (B, C, h, w), but got {tuple(output.shape)}; "
                    f"choose {instead}."
                )
            return to_channels_first(output, size, name)
        rows, columns = size[0] // self.patch[0], size[1] // self.patch[1]
        grids = [(max(1, rows >> level), max(1, columns >> level)) for level in range(LEVELS)]
        for grid in grids:
            for prefix in (self.prefix, 0):
                if output.shape[1] == grid[0] * grid[1] + prefix:
                    return tokens_to_grid(output, grid, prefix, name)
        return tokens_to_grid(output, grids[0], self.prefix, name)


@dataclass(frozen=True)
class Findings:
    """What a probe says of a network. Names are those of its modules.

    layer: of the last spatial map. head: the modules behind the average pooling of `layer`, in order, each with the
    shape that it wants per image; None where no such head is proven. rectified: a ReLU lies between `layer` and the
    pooling. stride: input pixels per position of `layer`. last_linear: the module of the class outputs, or "".
    """

    layer: str
    head: tuple[tuple[str, tuple[int, ...]], ...] | None
    rectified: bool
    layout: Layout
    stride: int
    num_outputs: int
    last_linear: str


class WrappedNetwork(Classifier):
    """A network as it is; `forward` is its own."""

    def __init__(self, net: nn.Module, findings: Findings, **settings: Any) -> None:
        super().__init__(
            net, num_outputs=findings.num_outputs, output_stride=findings.stride,
            default_layer=f"net.{findings.layer}", pooled=findings.head is not None,
            head="original" if findings.head is None else "pooled",
            head_prefixes=(f"{findings.last_linear}.",) if findings.last_linear else (), **settings,
        )  # fmt: skip
        self.findings = findings
        self.training = net.training

    def features(self, x: Tensor) -> Tensor:
        if not self.pooled:
            return super().features(x)
        found = self.tokens_to_map(self._run_to_layer(x), (x.shape[2], x.shape[3]))
        return found.relu() if self.findings.rectified else found

    def _run_to_layer(self, x: Tensor) -> Tensor:
        """What follows the layer does not run, so that its modules run once, in `pooled_head`."""
        try:
            with _stopping_behind(self.net.get_submodule(self.findings.layer)):
                self._run(x)
        except _Reached as reached:
            return reached.output
        raise ModelError(f"{self.name}: layer '{self.findings.layer}' did not run on {tuple(x.shape)}; choose another.")

    def _run(self, x: Tensor) -> Any:
        try:
            return self.net(x)
        except (AssertionError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not any(each in str(error) for each in MISFITS):
                raise
            raise describe_refusal(self.name, x, error) from error

    def pooled_head(self, pooled: Tensor) -> Tensor:
        if self.findings.head is None:
            return super().pooled_head(pooled)
        for name, shape in self.findings.head:
            pooled = self.net.get_submodule(name)(pooled.reshape(len(pooled), *shape))
        return pooled.flatten(1)

    def linear_head(self) -> nn.Linear | None:
        if not self.findings.head:
            return None
        modules = [self.net.get_submodule(name) for name, _ in self.findings.head]
        working = [each for each in _unpack(modules) if not isinstance(each, WITHOUT_EFFECT)]
        return working[0] if len(working) == 1 and isinstance(working[0], nn.Linear) else None

    def forward(self, x: Tensor) -> Tensor:
        return find_outputs(self._run(x), self.name)

    def tokens_to_map(self, output: Tensor, input_size: Size) -> Tensor:
        return self.findings.layout.to_map(output, input_size, self.name)


Signature = tuple[tuple[str, int], ...]
# by image size only for networks that refused the noise; None stands for every size
_KNOWN: WeakKeyDictionary[nn.Module, tuple[Signature, dict[Size | None, Findings]]] = WeakKeyDictionary()


def wrap_network(
    net: nn.Module,
    *,
    images: Tensor | None = None,
    name: str | None = None,
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
    layer: str | None = None,
) -> Classifier:
    """Any network that maps (B, 3, H, W) to (B, O) or (B, O, H, W) as a `Classifier`; a `Classifier` passes through.

    The network may also return a dict with 'out' or 'logits', an object with `.logits`, or a tuple whose first entry
    counts. What it is made of is found out on noise of its own size, or 224 x 224, so that no image decides it. images:
    float (B, 3, H, W), whose size counts where the network refuses that noise. layer: dotted name inside `net` of the
    default layer, instead of the last spatial map. mean, std: of its RGB input in [0, 1].

    "Average pooling, then a head" is believed only where the numbers prove it on two images; gradient methods work for
    every other network too. What was found is remembered as long as the network has the same modules. Raises ModelError
    when the network can run on none of these sizes, gives something else, or has no spatial map.
    """
    if isinstance(net, Classifier):
        return net
    name = name or type(net).__name__
    found = _recall(net, images, name)
    findings = found if layer is None else _choose_layer(net, found, layer, name)
    return WrappedNetwork(net, findings, name=name, mean=mean, std=std)


def _recall(net: nn.Module, images: Tensor | None, name: str) -> Findings:
    signature = tuple((each, id(module)) for each, module in net.named_modules())
    if net not in _KNOWN or _KNOWN[net][0] != signature:
        _KNOWN[net] = signature, {}
    known = _KNOWN[net][1]
    size = None if images is None else (images.shape[2], images.shape[3])
    if None not in known and size not in known:
        probe, noise = probe_noise(net, name, images)
        known[size if size == tuple(noise.shape[2:]) else None] = _find_all(net, probe, noise, name)
    return known[None if None in known else size]


def _choose_layer(net: nn.Module, findings: Findings, layer: str, name: str) -> Findings:
    names = [each for each, _ in net.named_modules() if each]
    if layer not in names:
        raise ModelError(f"layer: {name} has no layer '{layer}'.{suggest(layer, names)}")
    return findings if layer == findings.layer else replace(findings, layer=layer, head=None)


def _find_all(net: nn.Module, probe: Probe, images: Tensor, name: str) -> Findings:
    size = (images.shape[2], images.shape[3])
    layout = _find_layout(probe, size)
    maps = {call.name: each for call in probe.calls if (each := _as_map(call, layout, size, name)) is not None}
    layer = _find_last_map(probe, layout, maps, size, name)
    linear = [call.name for call in probe.calls if isinstance(call.module, nn.Linear)]
    findings = Findings(
        layer, None, False, layout, _find_stride(size, maps[layer]), probe.outputs.shape[1],
        linear[-1] if linear else "",
    )  # fmt: skip
    for claim in _find_heads(probe, maps):
        stride = _find_stride(size, maps[claim.layer])
        pooled = replace(findings, layer=claim.layer, head=claim.head, rectified=claim.rectified, stride=stride)
        if _holds(net, pooled, images, name):
            return pooled
    return findings


def _find_stride(size: Size, found: Tensor) -> int:
    """Pixels per position; a map cut short by missing padding has the stride of the nearest power of two."""
    rows = found.shape[2]
    return size[0] // rows if size[0] % rows == 0 else 2 ** max(0, round(math.log2(size[0] / rows)))


def _find_layout(probe: Probe, size: Size) -> Layout:
    """A first convolution whose kernel is its stride cuts patches; what is left over of the tokens is the prefix."""
    convolutions = [each for each, call in enumerate(probe.calls) if isinstance(call.module, nn.Conv2d)]
    first = probe.calls[convolutions[0]].module if convolutions else None
    if not isinstance(first, nn.Conv2d) or first.kernel_size != first.stride or max(first.stride) == 1:
        return Layout()
    patch = (int(first.stride[0]), int(first.stride[1]))
    positions = (size[0] // patch[0]) * (size[1] // patch[1])
    counts = [call.output.shape[1] for call in probe.calls[convolutions[0] :] if call.output.ndim == 3]
    # the class token may join after a few layers
    left = [count - positions for count in counts if 0 <= count - positions <= MAX_PREFIX]
    return Layout(patch, max(left, default=0))


def _as_map(call: Call, layout: Layout, size: Size, name: str) -> Tensor | None:
    """The call's output as a map with more than one position, otherwise None."""
    try:
        found = layout.to_map(call.output, size, name)
    except ModelError:
        return None
    return found if found.shape[2] * found.shape[3] > 1 else None


def _find_last_map(probe: Probe, layout: Layout, maps: dict[str, Tensor], size: Size, name: str) -> str:
    """The last one whose positions the outputs depend on: a class token's last layers do not count."""
    gradients = probe.find_gradients()
    for call in reversed(probe.calls):
        if call.name not in maps or call.name not in gradients or not _is_stream(call, probe):
            continue
        if layout.to_map(gradients[call.name], size, name).any():
            return call.name
    raise ModelError(f"{name}: no layer with a spatial map on the way to the outputs was found on {size} pixels.")


def _is_stream(call: Call, probe: Probe) -> bool:
    """Not a resampled pooling, not the scores themselves, and tokens only where they have the width of the patches'."""
    if isinstance(call.module, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
        return False
    if probe.outputs.ndim == 4 and call.output.shape[1] == probe.outputs.shape[1]:
        return False
    if call.output.ndim != 3:
        return True
    patches = next(each.output for each in probe.calls if isinstance(each.module, nn.Conv2d))
    coarser = call.output.shape[1] < patches.shape[2] * patches.shape[3]
    return coarser or call.output.shape[2] == patches.shape[1]


@dataclass(frozen=True)
class _Claim:
    layer: str
    head: tuple[tuple[str, tuple[int, ...]], ...]
    rectified: bool


def _find_heads(probe: Probe, maps: dict[str, Tensor]) -> Iterator[_Claim]:
    """Every "mean of a map, then modules one after the other" that gives the outputs, last map first."""
    if probe.outputs.ndim != 2:
        return
    for rectified in (False, True):
        for call in reversed(probe.calls):
            if call.name in maps and not isinstance(call.module, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
                found = maps[call.name].relu() if rectified else maps[call.name]
                head = _find_chain(probe, found.mean((2, 3)), probe.calls.index(call))
                if head is not None:
                    yield _Claim(call.name, head, rectified)


def _find_chain(probe: Probe, vector: Tensor, after: int) -> tuple[tuple[str, tuple[int, ...]], ...] | None:
    """The modules that make the outputs of `vector` (B, C): each is given what the one before it gave."""
    if _same(vector, probe.outputs):
        return ()
    for index in range(len(probe.calls) - 1, after, -1):  # an outer module finishes after those inside
        call = probe.calls[index]
        if call.given is not None and _same(call.given.flatten(1), vector):
            rest = _find_chain(probe, call.output.flatten(1), index)
            if rest is not None:
                return ((call.name, tuple(call.given.shape[1:])), *rest)
    return None


def _same(first: Tensor, second: Tensor) -> bool:
    """Equal beside the largest value: a network may work in any magnitude."""
    if first.shape != second.shape:
        return False
    return bool((first - second).abs().max() <= TOLERANCE * second.abs().max())


def _holds(net: nn.Module, findings: Findings, images: Tensor, name: str) -> bool:
    """Whether, from one image to another, the head on the pooled map changes as the network's outputs do.

    Outputs that do not change prove nothing: those of a head of zeros, or behind a map that is zero everywhere.
    """
    wrapped = WrappedNetwork(net, findings, name=name)
    other = images.flip(0, 2) * 0.5 + images.roll(1, 3).flip(2)
    with torch.no_grad(), evaluating(net):
        expected, own = wrapped(other), wrapped(images)
        found = [wrapped.pooled_head(wrapped.features(each).mean((2, 3))) for each in (other, images)]
    change = expected - own
    error = (found[0] - found[1] - change).abs().max()
    return _same(found[0], expected) and bool(change.any() and error <= CHANGE_TOLERANCE * change.abs().max())


class _Reached(BaseException):
    """Ends a forward pass; no Exception, because a network's own code may catch those."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


@contextmanager
def _stopping_behind(module: nn.Module) -> Iterator[None]:
    """The module's next call raises `_Reached`; hooks that it already has see the output as ever."""

    def stop(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        raise _Reached(output)

    handle = module.register_forward_hook(stop)
    try:
        yield
    finally:
        handle.remove()


def _unpack(modules: Sequence[nn.Module]) -> list[nn.Module]:
    return [part for each in modules for part in (_unpack(list(each)) if isinstance(each, nn.Sequential) else [each])]
