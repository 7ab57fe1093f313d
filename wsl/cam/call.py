"""The whole engine as one stateless call: any network, images, classes, layers and methods -> score maps and logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from wsl.cam.device_fusion import fuse_on_device
from wsl.cam.diagnosis import warn_once
from wsl.cam.engine import ScaleRunner, mean_over_flips, no_side_effects
from wsl.cam.inputs import input_size, stack_images
from wsl.cam.method import CamMethod, build_method
from wsl.cam.options import STAGES, CamOptions
from wsl.cam.preset import Preset, get_preset
from wsl.cam.pyramid import MapPyramid, fuse
from wsl.cam.targets import TARGETS, Target
from wsl.checks import check_image
from wsl.data.images import read_image
from wsl.errors import ConfigError, DataError, suggest
from wsl.models.classifier import IMAGENET_MEAN, IMAGENET_STD, Classifier
from wsl.models.wrap import wrap_network
from wsl.types import Image, Sample, ScoreMaps

Output = int | Target  # index of one of the network's outputs, or a callable
SETTINGS = ("long_side", "target", "tile", "tile_overlap", "precision", "label_mode", "channels_last")
Source = Tensor | NDArray[np.uint8] | Sequence[NDArray[np.uint8]] | Sequence[Sample]


@dataclass(frozen=True)
class CamResult:
    """logits: float32 (B, O), on the CPU, mean over flips. maps: per method one `ScoreMaps` per image."""

    logits: Tensor
    maps: Mapping[str, list[ScoreMaps]]

    @property
    def score_maps(self) -> list[ScoreMaps]:
        """The maps of the only method; ConfigError when there are several."""
        if len(self.maps) != 1:
            raise ConfigError(f"score_maps: expected one method, but there are {sorted(self.maps)}; use maps[name].")
        return next(iter(self.maps.values()))


def compute_score_maps(
    model: nn.Module,
    images: Source,
    outputs: Sequence[Any] | int | Target | None = None,
    *,
    method: str | Sequence[str] = "grad_cam",
    layers: str | Sequence[str] = (),
    preset: str | Preset = "irn",
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    options: Mapping[str, Any] | None = None,
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
    **settings: Any,
) -> CamResult:
    """Score maps in the images' own pixels, for arrays, tensors or samples; the network is left as it came.

    model: a `Classifier`, or any module with logits (B, O) for (B, 3, H, W), on the device where it shall run. images:
    float (B, 3, H, W), normalised as the network wants it; or uint8 arrays (H, W, 3), or `Sample`s, of any sizes, which
    are normalised here. outputs: output indices (0-based) or target callables, one list for all images or a list of
    lists, one per image; None = the highest logit. Output i gets class id i + 1; a callable its position + 1, above the
    network's own ids where there are indices too. method: one or several from the same forward pass. layers: dotted
    names of modules of `model`, or "stages" for the last layer of each of the last three resolutions; () = found by
    itself. options: of the method. mean, std: of the RGB input in [0, 1], for arrays and samples of a network that does
    not bring them. settings: long_side, target, tile, tile_overlap, precision, label_mode ("single"), channels_last.

    Raises ConfigError for unknown names, DataError for images of another shape, ModelError for layers and networks that
    do not fit the method.
    """
    names = _method_names(method)
    chosen = _make_options(
        names[0], _layer_names(layers, isinstance(model, Classifier)), preset, scales, flip, settings
    )
    methods = {name: build_method(name, **(options or {})) for name in names}
    if model.training:
        warn_once(type(model).__name__, "the network came in training mode; maps are made in evaluation mode", model)
    batches, first = _batches(images), next(model.parameters(), torch.zeros(()))
    wanted = _per_image(outputs, len(images))
    with torch.inference_mode(False):
        probe = batches[0].probe(first.device, first.dtype) if batches else None
        classifier = wrap_network(model, images=probe, mean=mean, std=std)
        parts = [_run(classifier, batch, wanted, chosen, methods, first.device) for batch in batches]
        return _gather(len(images), parts, names)


def _method_names(method: str | Sequence[str]) -> list[str]:
    names = [method] if isinstance(method, str) else list(method)
    if not names:
        raise ConfigError("method: expected the name of a method or several, but got none.")
    return names


def _make_options(
    method: str,
    layers: tuple[str, ...],
    preset: str | Preset,
    scales: Sequence[float],
    flip: bool,
    settings: Mapping[str, Any],
) -> CamOptions:
    for name in settings:
        if name not in SETTINGS:
            raise ConfigError(f"compute_score_maps: unknown setting '{name}'.{suggest(name, SETTINGS)}")
    if not isinstance(scales, Sequence):
        raise ConfigError(f"scales: expected a list of factors, but got {scales!r}.")
    return CamOptions(
        method=method, layers=layers, scales=tuple(scales), flip=flip,
        preset=get_preset(preset) if isinstance(preset, str) else preset,
        **{"label_mode": "single", "channels_last": False, **settings},
    )  # fmt: skip


def _layer_names(layers: str | Sequence[str], own_names: bool) -> tuple[str, ...]:
    """As the engine knows them: a wrapped network is `net` of its wrapper."""
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    return names if own_names or names == (STAGES,) else tuple(f"net.{name}" for name in names)


@dataclass(frozen=True)
class _Batch:
    """Images of one size: `rows` in the order of the call, `size` (height, width), and how they become an input."""

    rows: tuple[int, ...]
    size: tuple[int, int]
    pixels: Tensor | list[Image]

    def make_input(self, classifier: Classifier, options: CamOptions, device: torch.device) -> Callable[..., Tensor]:
        dtype = next(classifier.parameters(), torch.zeros(())).dtype

        def make(scale: float, places: Sequence[int]) -> Tensor:
            size = input_size(self.size, options.long_side, scale, classifier.output_stride, options.preset)
            if isinstance(self.pixels, Tensor):
                as_given = scale == 1 and options.long_side is None and options.preset.input_sides == "exact"
                return _scale(self.pixels[list(places)].to(device, dtype), self.size if as_given else size)
            chosen = [self.pixels[place] for place in places]
            return stack_images(chosen, size, classifier.mean, classifier.std).to(device, dtype)

        return make

    def probe(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Noise of the images' size, to find the network's layers with: an image may happen to be blank."""
        return torch.randn(1, 3, *self.size, generator=torch.Generator().manual_seed(0)).to(device, dtype)


def _scale(images: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(images.shape[2:]) == size:
        return images
    return functional.interpolate(images, size, mode="bicubic", antialias=True, align_corners=False)


def _batches(images: Source) -> list[_Batch]:
    if isinstance(images, Tensor):
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise DataError(f"images: expected float (B, 3, H, W), but got {images.dtype} {tuple(images.shape)}.")
        rows, size = tuple(range(len(images))), (images.shape[2], images.shape[3])
        return [_Batch(rows, size, images)] if rows else []
    if isinstance(images, np.ndarray) and images.ndim == 3:
        raise DataError(f"images: expected a list of uint8 (H, W, 3), but got an array {images.shape}; use [image].")
    pixels = [_read(each) for each in images]
    by_size: dict[tuple[int, int], list[int]] = {}
    for row, image in enumerate(pixels):
        by_size.setdefault((image.shape[0], image.shape[1]), []).append(row)
    return [_Batch(tuple(rows), size, [pixels[row] for row in rows]) for size, rows in by_size.items()]


def _read(image: object) -> Image:
    if isinstance(image, Sample):
        return read_image(image.image_path)
    if not isinstance(image, np.ndarray):
        raise DataError(f"images: expected uint8 arrays (H, W, 3) or Samples, but got a {type(image).__name__}.")
    check_image(image)
    return image


def _per_image(outputs: Sequence[Any] | int | Target | None, count: int) -> list[list[Output]] | None:
    if outputs is None:
        return None
    if isinstance(outputs, (int, np.integer)) or callable(outputs):
        outputs = [outputs]
    if isinstance(outputs, (Tensor, np.ndarray)):
        outputs = outputs.tolist()
    if all(_is_output(each) for each in outputs):
        return [list(outputs)] * count
    if len(outputs) != count:
        raise ConfigError(f"outputs: expected one list per image, {count}, but got {len(outputs)}.")
    return [_check_outputs(each) for each in outputs]


def _is_output(value: object) -> bool:
    return isinstance(value, (int, np.integer)) or callable(value)


def _check_outputs(outputs: Any) -> list[Output]:
    listed = outputs.tolist() if isinstance(outputs, (Tensor, np.ndarray)) else outputs
    if not isinstance(listed, (list, tuple)) or not all(_is_output(each) for each in listed):
        raise ConfigError(f"outputs: expected lists of output indices or target callables, but got {outputs!r}.")
    return list(listed)


def _run(
    classifier: Classifier,
    batch: _Batch,
    outputs: list[list[Output]] | None,
    options: CamOptions,
    methods: Mapping[str, CamMethod],
    device: torch.device,
) -> tuple[_Batch, Tensor, dict[str, list[ScoreMaps]]]:
    with no_side_effects(classifier):
        runner = ScaleRunner(classifier, methods, options, batch.make_input(classifier, options, device))
        first = runner.start(len(batch.rows))
        logits = mean_over_flips(first.logits, options.flip)
        wanted = _wanted(logits, outputs, batch.rows)
        found = runner.finish(first, [[_target(each, options) for each in row] for row in wanted])
    probabilities = _probabilities(logits, options.label_mode)
    maps = {}
    for name, rows in found.items():
        preset, layers = methods[name].fit_preset(options.preset), first.num_layers(methods[name])
        maps[name] = [
            _fuse(_pyramid(batch, place, levels, wanted[place], probabilities[place], layers), preset, device)
            for place, levels in enumerate(rows)
        ]
    return batch, logits.cpu(), maps


def _fuse(pyramid: MapPyramid, preset: Preset, device: torch.device) -> ScoreMaps:
    return fuse(pyramid, preset) if device.type == "cpu" else fuse_on_device(pyramid, preset, device)


def _wanted(logits: Tensor, outputs: list[list[Output]] | None, rows: Sequence[int]) -> list[list[Output]]:
    if outputs is None:
        _check_logits(logits, None)
        return [[int(each)] for each in logits.argmax(1)]
    wanted = [outputs[row] for row in rows]
    for each in wanted:
        for output in each:
            _check_logits(logits, output)
    return wanted


def _check_logits(logits: Tensor, output: Output | None) -> None:
    if callable(output):
        return
    if logits.ndim != 2:
        shape = tuple(logits.shape)
        raise ConfigError(f"outputs: this network gives {shape}, not (B, O); give targets such as Region.")
    if output is not None and not 0 <= output < logits.shape[1]:
        raise ConfigError(f"outputs: expected indices in 0..{logits.shape[1] - 1}, but got {output}.")


def _target(output: Output, options: CamOptions) -> Target:
    return output if callable(output) else TARGETS[options.target_name]((int(output),))


def _probabilities(logits: Tensor, label_mode: str) -> NDArray[np.float32]:
    """float32 (B, O); of a segmentation network (B, 0): it has no image-level probability."""
    if logits.ndim != 2:
        return np.zeros((len(logits), 0), np.float32)
    return (logits.softmax(1) if label_mode == "single" else logits.sigmoid()).cpu().numpy().astype(np.float32)


def _pyramid(
    batch: _Batch,
    place: int,
    levels: tuple[NDArray[np.float32], ...],
    outputs: Sequence[Output],
    probabilities: NDArray[np.float32],
    layers: int,
) -> MapPyramid:
    class_ids = _class_ids(outputs, len(probabilities))
    known = [] if any(callable(each) for each in outputs) else [each - 1 for each in class_ids]
    return MapPyramid(
        str(batch.rows[place]), levels, class_ids, batch.size, probabilities[known],
        tuple(each + 1 for each in known), layers,
    )  # fmt: skip


def _class_ids(outputs: Sequence[Output], num_outputs: int) -> tuple[int, ...]:
    above = num_outputs if any(not callable(each) for each in outputs) else 0
    ids = tuple(above + place + 1 if callable(each) else int(each) + 1 for place, each in enumerate(outputs))
    if len(set(ids)) != len(ids):
        raise ConfigError(f"outputs: expected each output once, but got {[each - 1 for each in ids]}.")
    return ids


def _gather(
    count: int, parts: Sequence[tuple[_Batch, Tensor, dict[str, list[ScoreMaps]]]], names: Sequence[str]
) -> CamResult:
    """The batches' results in the order of the call."""
    order = [row for batch, _, _ in parts for row in batch.rows]
    places = sorted(range(count), key=order.__getitem__)
    logits = torch.cat([each for _, each, _ in parts])[places] if parts else torch.zeros(0, 0)
    maps = {name: [each for _, _, found in parts for each in found[name]] for name in names}
    return CamResult(logits, {name: [each[place] for place in places] for name, each in maps.items()})
