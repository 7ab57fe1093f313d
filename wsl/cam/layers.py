"""Layers with a spatial map, found by watching one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from wsl.errors import ConfigError, ModelError
from wsl.models.classifier import Classifier
from wsl.models.probe import Probe, Size, probe_network, probe_noise
from wsl.models.spatial import AROUND, compute_misfit


@dataclass(frozen=True)
class Layer:
    """Dotted name inside the classifier, and the map (C, h, w) that it gives."""

    name: str
    shape: tuple[int, int, int]

    @property
    def depth(self) -> int:
        """How many modules it lies in."""
        return self.name.count(".")


def list_layers(model: Classifier, images: Tensor) -> list[Layer]:
    """The modules whose output becomes a map with more than one position, in the order in which they finish.

    images: float (B, 3, H, W), normalised; the shapes are for their size. Modules that run more than once are left out.
    """
    return _list_layers(model, probe_network(model, images, model.name), (images.shape[2], images.shape[3]))


def _list_layers(model: Classifier, probe: Probe, size: Size) -> list[Layer]:
    found = []
    for call in probe.calls:
        each = _to_map(model, call.output, size)
        if each is not None and not isinstance(call.module, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
            found.append(Layer(call.name, (each.shape[1], each.shape[2], each.shape[3])))
    return found


def _to_map(model: Classifier, output: Tensor, size: Size) -> Tensor | None:
    try:
        found = model.tokens_to_map(output, size)
    except ModelError:
        return None
    fits = found.shape[2] * found.shape[3] > 1 and compute_misfit(found.shape[2:], size) <= AROUND
    return found if fits else None


Signature = tuple[object, ...]
Stages = dict[tuple[int, Size | None], tuple[str, ...]]  # by count, and by size where the network refused the noise
_KNOWN: WeakKeyDictionary[nn.Module, tuple[Signature, Stages]] = WeakKeyDictionary()


def find_stages(model: Classifier, images: Tensor, count: int = 3) -> tuple[str, ...]:
    """The last layer of each of the last `count` resolutions, in the order in which they run.

    Of layers of one resolution the outermost counts, so that ResNets give the ends of their stages. Where all layers
    have one resolution (plain ViTs), the last layer of `count` evenly spaced blocks. Layers that the outputs do not
    depend on, such as the patches behind a class token's last attention, are left out.

    They are found out on noise of the network's own size, or 224 x 224, so that no image decides them. images: float
    (B, 3, H, W), normalised; their size counts where the network refuses that noise. What was found is remembered as
    long as the model has the same modules. Raises ModelError when there is no such layer.
    """
    if count < 1:
        raise ConfigError(f"count: expected at least 1 resolution, but got {count}.")
    signature = type(model), *((name, id(module)) for name, module in model.named_modules() if name)
    # a wrapper is made anew in every call, the network inside is not
    if model.net not in _KNOWN or _KNOWN[model.net][0] != signature:
        _KNOWN[model.net] = signature, {}
    known = _KNOWN[model.net][1]
    size = (images.shape[2], images.shape[3])
    if (count, None) not in known and (count, size) not in known:
        probe, noise = probe_noise(model, model.name, images)
        probed = (noise.shape[2], noise.shape[3])
        known[count, size if size == probed else None] = _find_stages(model, probe, probed, count)
    return known[count, None if (count, None) in known else size]


def _find_stages(model: Classifier, probe: Probe, size: Size, count: int) -> tuple[str, ...]:
    reached = _find_reached(model, probe, size)
    layers = [layer for layer in _list_layers(model, probe, size) if layer.name in reached]
    if not layers:
        raise ModelError(f"{model.name}: no layer with a spatial map on the way to the outputs was found.")
    sides = list(dict.fromkeys(layer.shape[1:] for layer in reversed(layers)))
    if len(sides) == 1:
        return _find_blocks(model, layers, count)
    ends = [_outermost(model, [layer for layer in layers if layer.shape[1:] == each]) for each in sides[:count]]
    return tuple(layer.name for layer in sorted(ends, key=layers.index))


def _find_reached(model: Classifier, probe: Probe, size: Size) -> set[str]:
    """Names of the layers with a position that the outputs depend on."""
    maps = {name: _to_map(model, each, size) for name, each in probe.find_gradients().items()}
    return {name for name, each in maps.items() if each is not None and each.any()}


def _outermost(model: Classifier, layers: Sequence[Layer]) -> Layer:
    """The last of those that lie in the fewest modules, or of the composite ones that lie in one module more.

    The latter are the stages of networks that keep them in a list beside a stem of the same resolution.
    """
    least = min(layer.depth for layer in layers)
    stages = {name for name, module in model.named_modules() if any(True for _ in module.children())}
    return [layer for layer in layers if layer.depth == least or (layer.depth == least + 1 and layer.name in stages)][
        -1
    ]


def _find_blocks(model: Classifier, layers: Sequence[Layer], count: int) -> tuple[str, ...]:
    blocks = max(_list_towers(model, layers), key=len, default=[])
    if not blocks:
        return (layers[-1].name,)
    count = min(count, len(blocks))
    chosen = [blocks[(index + 1) * len(blocks) // count - 1] for index in range(count)]
    return tuple(_outermost(model, block).name for block in chosen)


def _list_towers(model: Classifier, layers: Sequence[Layer]) -> list[list[list[Layer]]]:
    """Per container of like modules its blocks, each with the layers inside it."""
    towers = []
    for name, module in model.named_modules():
        if isinstance(module, (nn.Sequential, nn.ModuleList)) and len({type(each) for each in module}) == 1:
            inside = [_find_inside(layers, f"{name}.{child}") for child, _ in module.named_children()]
            towers.append([block for block in inside if block])
    return towers


def _find_inside(layers: Sequence[Layer], block: str) -> list[Layer]:
    return [layer for layer in layers if layer.name == block or layer.name.startswith(block + ".")]
