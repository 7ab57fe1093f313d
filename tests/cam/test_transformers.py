"""CAM methods on tokens and channels-last maps: the grid comes from the model, for images that are not square."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer

from tests.oracles.cam_networks import build_tiny_vit, seeded
from wsl.cam.method import build_method
from wsl.cam.targets import Logit
from wsl.cam.trace import Trace
from wsl.models.classifier import Classifier
from wsl.models.swin import SwinClassifier
from wsl.models.wrap import wrap_network

SIZE, GRID = (64, 96), (4, 6)
TARGETS = [[Logit((0,)), Logit((2,))], [Logit((1,))]]


def make_images() -> Tensor:
    return torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(3))


def build_swin() -> Classifier:
    net = SwinTransformer([4, 4], 8, [1, 1, 1], [1, 2, 4], [4, 4], num_classes=3)
    return SwinClassifier(
        net, name="tiny_swin", num_outputs=3, output_stride=16, default_layer="net.permute", head_prefixes=("head.",)
    )


def build_pooled_vit() -> Classifier:
    model = build_tiny_vit()
    model.pooled = True
    return model


def wrap_timm(name: str, **options: object) -> Classifier:
    timm = pytest.importorskip("timm")
    net: nn.Module = seeded(timm.create_model(name, num_classes=3, img_size=SIZE, **options))
    return wrap_network(net, images=make_images()[:1])


def build_deit() -> Classifier:
    return wrap_timm("deit_tiny_distilled_patch16_224", depth=2)


def build_timm_vit() -> Classifier:
    return wrap_timm("vit_tiny_patch16_224", depth=2)


def build_timm_swin() -> Classifier:
    return wrap_timm("swin_tiny_patch4_window7_224", depths=(1, 1, 1), embed_dim=8, num_heads=(1, 2, 4))


# model, layer that gives a grid, prefix tokens (None: channels-last map), grid
CASES: dict[str, tuple[Callable[[], Classifier], str | None, int | None, tuple[int, int]]] = {
    "vit": (build_tiny_vit, None, 1, (8, 12)),
    "vit, pooled": (build_pooled_vit, "net.encoder.layers.encoder_layer_0", 1, (8, 12)),
    "timm vit": (build_timm_vit, None, 1, GRID),
    "deit, distilled": (build_deit, None, 2, GRID),
    "swin, inner layer": (build_swin, "net.features.2", None, (8, 12)),
    "timm swin, inner layer": (build_timm_swin, "net.layers.1", None, (8, 12)),
}


def literal_grad_cam(model: Classifier, layer: str, prefix: int | None, grid: tuple[int, int]) -> Tensor:
    """Class 2 of the first image, position by position."""
    kept: list[Tensor] = []
    handle = model.get_submodule(layer).register_forward_hook(lambda *each: kept.append(each[2]))
    score = model(make_images())[0, 2]
    handle.remove()
    gradient = torch.autograd.grad(score, kept[0])[0][0]
    activation = kept[0][0].detach()
    found = torch.zeros(grid)
    positions = [(row, column) for row in range(grid[0]) for column in range(grid[1])]

    def at(tensor: Tensor, row: int, column: int) -> Tensor:
        return tensor[row, column] if prefix is None else tensor[prefix + row * grid[1] + column]

    weights = torch.stack([at(gradient, *each) for each in positions]).mean(0)
    for row, column in positions:
        found[row, column] = (weights * at(activation, row, column)).sum()
    return found


@pytest.mark.parametrize("case", CASES)
def test_grad_cam_is_the_literal_sum_over_channels(case: str) -> None:
    make, layer, prefix, grid = CASES[case]
    model = seeded(make())
    trace = Trace(model, make_images(), (layer,), frozenset({"gradients"}))
    maps = build_method("grad_cam").compute_maps(trace, layer, TARGETS)
    expected = literal_grad_cam(model, layer or model.default_layer, prefix, grid)
    assert expected.std() > 0
    torch.testing.assert_close(maps[0][1], expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))


METHODS = (
    "grad_cam", "grad_cam_plus_plus", "xgrad_cam", "hires_cam", "layer_cam", "grad_cam_elementwise", "eigen_cam",
    "fem", "ablation_cam",
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_the_grid(case: str, name: str) -> None:
    make, layer, _, grid = CASES[case]
    method = build_method(name)
    trace = Trace(seeded(make()), make_images(), (layer,), method.needs | {"activations"})
    maps = method.compute_maps(trace, layer, TARGETS)
    assert [tuple(each.shape) for each in maps] == [(2, *grid), (1, *grid)]
    assert all(torch.isfinite(each).all() and each.std() > 0 for each in maps)


@pytest.mark.parametrize("make", [build_pooled_vit, build_swin, build_timm_swin])
def test_pooled_transformers_have_class_activation_maps(make: Callable[[], Classifier]) -> None:
    model = seeded(make())
    assert model.pooled
    trace = Trace(model, make_images())
    maps = build_method("cam").compute_maps(trace, None, TARGETS)
    linear = model.linear_head()
    assert linear is not None
    # the sum of a class's map and its bias are its logit
    found = maps[0].sum((1, 2)) + linear.bias[[0, 2]].detach()
    torch.testing.assert_close(found, trace.logits[0, [0, 2]], rtol=1e-4, atol=1e-3)
