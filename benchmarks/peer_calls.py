"""How the peers are asked for maps: one function per library, each imported only when it is called.

Used by the golden files, by the tests that run when a peer is installed, and by the benchmark.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Maps = NDArray[np.float32]  # (B, h, w)
PEERS = ("grad-cam", "torchcam", "captum")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides the peers' progress bars and prints."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def make_grid(rows: int, columns: int) -> Callable[[Tensor], Tensor]:
    """Tokens (B, 1 + rows * columns, C) -> (B, C, rows, columns), without the class token."""
    return lambda tokens: tokens[:, 1:].reshape(len(tokens), rows, columns, -1).permute(0, 3, 1, 2)


def ask_grad_cam(
    method: str,
    network: nn.Module,
    images: Tensor,
    layers: Sequence[str],
    output: int,
    *,
    target: str = "ClassifierOutputTarget",
    target_options: Sequence[Any] = (),
    grid: tuple[int, int] | None = None,
    batch_size: int | None = None,
    **options: Any,
) -> Maps:
    """pytorch-grad-cam's map of one output for every image: (B, H, W) in [0, 1], at the input's size."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils import model_targets

    transform = {} if grid is None else {"reshape_transform": make_grid(*grid)}
    modules = [network.get_submodule(layer) for layer in layers]
    chosen = [getattr(model_targets, target)(output, *target_options) for _ in images]
    extractor = getattr(pytorch_grad_cam, method)(network, modules, **transform, **options)
    if batch_size is not None:
        extractor.batch_size = batch_size
    try:
        with quiet():
            maps = extractor(images, chosen)
    finally:
        release(extractor)
    return np.asarray(maps, np.float32)


def release(extractor: Any) -> None:
    """Removes an extractor's hooks. Its own way fails on gradients that are views, so these are dropped first."""
    for each in getattr(extractor, "base_cam_per_layer", [extractor]):
        each.activations_and_grads.activations, each.activations_and_grads.gradients = [], []
        each.activations_and_grads.release()


def ask_torchcam(
    method: str,
    network: nn.Module,
    images: Tensor,
    layers: Sequence[str],
    output: int,
    *,
    base: str | None = None,
    size: tuple[int, int] | None = None,
    normalised: bool = True,
    class_token: bool = False,
    **options: Any,
) -> Maps:
    """torch-cam's map of one output for every image: (B, h, w) at the layer's size, or fused to `size`.

    class_token: LeGrad scores each block by the class token, not by the mean of all tokens.
    """
    from torchcam import methods

    if class_token:
        options["score_projection"] = lambda tokens: network.heads(network.encoder.ln(tokens)[:, 0])
    if base is not None:
        options["base_method"] = getattr(methods, base)
    wanted = layers[0] if len(layers) == 1 else list(layers)
    with quiet(), getattr(methods, method)(network, wanted, **options) as extractor:
        scores = network(images)
        found = extractor([output] * len(images), scores, normalized=normalised)
        maps = found[0] if len(found) == 1 else extractor.fuse_cams(found, size)
    return maps.detach().cpu().numpy()


def ask_captum(
    method: str, network: nn.Module, images: Tensor, layers: Sequence[str], output: int, **options: Any
) -> Maps:
    """captum's signed map of one output for every image: (B, h, w) at the layer's size, channels summed."""
    from captum import attr

    attribution = getattr(attr, method)(network, network.get_submodule(layers[0]))
    found = attribution.attribute(images, target=output, **options)
    return found.detach().sum(1).cpu().numpy()


ASK: dict[str, Callable[..., Maps]] = {"grad-cam": ask_grad_cam, "torchcam": ask_torchcam, "captum": ask_captum}
