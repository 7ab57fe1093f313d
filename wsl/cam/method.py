"""What a CAM method is: activations, gradients or attention of one forward pass -> maps of any classes.

A method is one short file in `methods/` with its formula and paper. Method name = file name = registry name.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from wsl.cam.option_checks import check_types
from wsl.cam.preset import Preset
from wsl.cam.targets import Target, Targets
from wsl.errors import ConfigError
from wsl.registry import Registry, check_option_names

if TYPE_CHECKING:
    from wsl.cam.trace import Trace
    from wsl.models.classifier import Classifier


class CamMethod(ABC):
    """One method. Subclasses are frozen dataclasses whose fields are its options, all with defaults.

    needs: what the forward pass must record for it: "activations", "gradients", "hessian", "head" (to run it again),
        "attention", "attention_gradients", "bias_gradients".
    default_layers: "last" = the last spatial layer, "stages" = the last layer of each of the last three resolutions.
    per_position: whether the maps shrink as 1 / (h * w), because they are linear in the gradient or because their
        values are shares of a whole (attention); they are then multiplied by h * w, so that maps of several scales add
        with the same weight and Grad-CAM equals CAM.
    layer_fusion: the paper's way to fuse the maps of several layers. is_layer_fusion: whether the method is nothing but
        this fusion, so that no preset may choose another.
    local: whether behind a pooled linear head a cell's value depends on what the network sees there alone, so that
        tiles of a large image give the map of the whole.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"activations"})
    default_layers: ClassVar[str] = "last"
    per_position: ClassVar[bool] = False
    layer_fusion: ClassVar[str] = "mean"
    is_layer_fusion: ClassVar[bool] = False
    local: ClassVar[bool] = False

    def check_fit(self, model: Classifier, layers: Sequence[str]) -> None:  # noqa: B027  (most methods fit every network)
        """Raises what keeps the method from working on this network and these layers, before anything is computed."""

    def fit_preset(self, preset: Preset) -> Preset:
        """The preset with the method's own way to fuse layers, where the preset leaves it open or it is the method."""
        if preset.layer_fusion != "method" and not self.is_layer_fusion:
            return preset
        return dataclasses.replace(preset, layer_fusion=self.layer_fusion)

    @abstractmethod
    def compute_maps(self, trace: Trace, layer: str | None, targets: Targets) -> list[Tensor]:
        """Signed maps float32 (K_b, h, w) per image b for `targets[b]`; K_b may differ and may be 0."""


class GradientMethod(CamMethod):
    """A formula on the activation and its gradients."""

    needs = frozenset({"gradients"})

    def compute_maps(self, trace: Trace, layer: str | None, targets: Targets) -> list[Tensor]:
        """The formula, image by image."""
        activations, gradients = trace.activation(layer), trace.gradients(layer, targets)
        with torch.no_grad():
            return [self.combine(activations[row], each) for row, each in enumerate(gradients)]

    @abstractmethod
    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        """activation float32 (C, h, w), gradient float32 (K, C, h, w) of the K class scores -> maps (K, h, w)."""


class ActivationMethod(CamMethod):
    """A formula on the activation alone, the same map for every class."""

    def compute_maps(self, trace: Trace, layer: str | None, targets: Targets) -> list[Tensor]:
        """The formula once per image that has classes."""
        check_targets(targets, len(trace.images))
        activations = trace.activation(layer)
        return [
            self.combine(activations[row]).expand(len(each), -1, -1)
            if each
            else activations.new_zeros((0, *activations.shape[2:]))
            for row, each in enumerate(targets)
        ]

    @abstractmethod
    def combine(self, activation: Tensor) -> Tensor:
        """activation float32 (C, h, w) -> map (h, w)."""


def is_constant_over_space(gradient: Tensor) -> bool:
    """Whether a gradient is one number per channel, expanded over space: that of a pooled head."""
    return all(step == 0 or side == 1 for step, side in zip(gradient.stride()[2:], gradient.shape[2:], strict=True))


def mean_over_space(gradient: Tensor) -> Tensor:
    """(K, C, h, w) -> (K, C). A gradient that is one number expanded over space (a pooled head) is not summed up."""
    return gradient[:, :, 0, 0] if is_constant_over_space(gradient) else gradient.mean((2, 3))


def sum_of_channels(weights: Tensor, activation: Tensor) -> Tensor:
    """sum_k w_ck A_k: weights (K, C), activation (C, h, w) -> (K, h, w)."""
    return (weights @ activation.flatten(1)).reshape(-1, *activation.shape[1:])


METHODS: Registry[type[CamMethod]] = Registry("CAM method")


def build_method(name: str, **options: Any) -> CamMethod:
    """The method of that name with its options.

    ConfigError for an unknown name or option, with the nearest one, and for a value of another type or out of range.
    """
    import wsl.cam.methods  # noqa: F401  (registers them)

    method = METHODS.get(name)
    check_option_names(f"cam.method={name}", method, options)
    check_types(name, method, options)
    built: CamMethod = method(**options)
    return built


def list_methods() -> list[str]:
    """Names of all methods, sorted."""
    import wsl.cam.methods  # noqa: F401

    return METHODS.names()


def check_targets(targets: Sequence[Sequence[Target]], images: int) -> None:
    """Raises ConfigError unless there is one sequence of targets per image."""
    if len(targets) != images:
        raise ConfigError(f"targets: expected one list per image, {images}, but got {len(targets)}.")
