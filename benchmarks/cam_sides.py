"""The sides of bench_cam_methods.py: the same whole call, image tensor to maps at the input's size, by both."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet50

from benchmarks.peer_calls import quiet
from wsl.cam.call import compute_score_maps
from wsl.cam.preset import PRESETS, Preset

Maps = NDArray[np.float32]  # (methods * classes, H, W)
CHANNELS = 2048  # of layer4
BATCH_SIZE = 16  # of masked forwards, on both sides: pytorch-grad-cam's default
# Signed maps at the input's size.
SIGNED = replace(PRESETS["grad_cam"], relu="none", raw_normaliser="none", normaliser="none")


def build_network(device: torch.device, channels: int = CHANNELS) -> nn.Module:
    """torchvision's ResNet-50 with seeded random weights, and batch statistics of noise to keep activations in range.

    channels: of layer4; fewer than its own come from a convolution of 1 x 1 behind it, for quick trials.
    """
    torch.manual_seed(0)
    network = resnet50(weights=None)
    if channels < CHANNELS:
        network.layer4 = nn.Sequential(network.layer4, nn.Conv2d(CHANNELS, channels, 1), nn.ReLU())
        network.fc = nn.Linear(channels, 1000)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(8, 3, 96, 96))
    return network.eval().to(device)


def make_image(side: int, device: torch.device) -> Tensor:
    """float32 (1, 3, side, side): noise over a slow wave, the same every time."""
    generator = torch.Generator().manual_seed(1)
    wave = torch.sin(torch.arange(side) / 17.0)[:, None] * torch.cos(torch.arange(side) / 23.0)
    return (wave + 0.5 * torch.randn(1, 3, side, side, generator=generator)).to(device)


class Ours:
    """wsl through its public call, with the network as it came."""

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        self.network, self.image = copy.deepcopy(network), image

    def maps(
        self,
        methods: Sequence[str],
        classes: Sequence[int],
        layers: Sequence[str] = (),
        preset: str | Preset = "grad_cam",
        options: dict[str, Any] | None = None,
    ) -> Maps:
        """All methods and classes from one call."""
        found = compute_score_maps(
            self.network, self.image, classes, method=methods, layers=layers, preset=preset, options=options
        )
        return np.concatenate([found.maps[method][0].scores for method in methods])


class GradCamPeer:
    """pytorch-grad-cam: an extractor per method and layers, made once; one call per class."""

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        self.network, self.image = copy.deepcopy(network), image
        self.extractors: dict[tuple[str, tuple[str, ...]], Any] = {}

    def maps(self, methods: Sequence[str], classes: Sequence[int], layers: Sequence[str]) -> Maps:
        """(methods * classes, H, W)."""
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        found = []
        for method in methods:
            extractor = self._extractor(method, tuple(layers))
            with quiet():
                found += [extractor(self.image, [ClassifierOutputTarget(each)])[0] for each in classes]
        return np.stack(found)

    def _extractor(self, method: str, layers: tuple[str, ...]) -> Any:
        import pytorch_grad_cam

        if (method, layers) not in self.extractors:
            for each in self.extractors.values():
                each.activations_and_grads.release()  # hooks of other extractors would run too
            modules = [self.network.get_submodule(layer) for layer in layers]
            with quiet():
                self.extractors = {(method, layers): getattr(pytorch_grad_cam, method)(self.network, modules)}
        return self.extractors[method, layers]


class CaptumPeer:
    """captum's LayerGradCam, interpolated to the input and stretched to [0, 1]; one call per class."""

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        self.network, self.image = copy.deepcopy(network), image

    def maps(self, classes: Sequence[int]) -> Maps:
        """(classes, H, W)."""
        from captum.attr import LayerAttribution, LayerGradCam

        method, size = LayerGradCam(self.network, self.network.layer4), tuple(self.image.shape[2:])
        found = [method.attribute(self.image, target=each, relu_attributions=True).detach() for each in classes]
        resized = [LayerAttribution.interpolate(each, size, "bilinear")[0, 0] for each in found]
        return np.stack([_stretch(each).cpu().numpy() for each in resized])


class TorchcamPeer:
    """torch-cam's GradCAM: one forward pass, a backward pass per class that keeps the graph, resized bilinearly."""

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        self.network, self.image = copy.deepcopy(network), image

    def maps(self, classes: Sequence[int]) -> Maps:
        """(classes, H, W)."""
        from torchcam.methods import GradCAM

        with GradCAM(self.network, "layer4") as extractor:
            scores = self.network(self.image)
            found = [extractor(each, scores, retain_graph=True)[0] for each in classes]
        stacked = torch.stack([each[0] for each in found])[None]
        resized = functional.interpolate(stacked, tuple(self.image.shape[2:]), mode="bilinear", align_corners=False)
        return resized[0].cpu().numpy()


def _stretch(maps: Tensor) -> Tensor:
    low, high = torch.aminmax(maps)
    return (maps - low) / (high - low + 1e-7)
