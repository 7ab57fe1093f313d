"""Layers with a map and the ends of the stages, of networks whose structure is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision.models as tv
from torch import Tensor, nn

from tests.oracles.cam_networks import FlatNet, PooledNet, build_tiny_vit, check_same_state, describe_state, seeded
from wsl.cam.layers import Layer, find_stages, list_layers
from wsl.errors import ConfigError, ModelError
from wsl.models import build_classifier
from wsl.models.classifier import Classifier
from wsl.models.wrap import wrap_network

SIZE = (64, 96)


def make_images(size: tuple[int, int] = SIZE) -> Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))


def test_layers_in_order_with_their_maps() -> None:
    found = list_layers(seeded(PooledNet()), make_images((16, 24)))
    assert found == [
        Layer("net.stem.0", (4, 8, 12)),
        Layer("net.stem.1", (4, 8, 12)),
        Layer("net.stem.2", (4, 8, 12)),
        Layer("net.stem", (4, 8, 12)),
        Layer("net.body.0", (5, 4, 6)),
        Layer("net.body.1", (5, 4, 6)),
        Layer("net.body.2", (5, 4, 6)),
        Layer("net.body", (5, 4, 6)),
    ]


STAGES: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...]]] = {
    "resnet18": (tv.resnet18, ("net.layer2", "net.layer3", "net.layer4")),
    "regnet_y_400mf": (
        tv.regnet_y_400mf,
        ("net.trunk_output.block2", "net.trunk_output.block3", "net.trunk_output"),
    ),
    "mobilenet_v2": (tv.mobilenet_v2, ("net.features.6", "net.features.13", "net.features")),
    "densenet121": (
        tv.densenet121,
        ("net.features.denseblock2", "net.features.denseblock3", "net.features"),
    ),
    "swin_t": (tv.swin_t, ("net.features.3", "net.features.5", "net.permute")),
}


@pytest.mark.parametrize("name", STAGES)
def test_ends_of_the_stages(name: str) -> None:
    make, expected = STAGES[name]
    assert find_stages(wrap_network(make().eval(), images=make_images()), make_images()) == expected


def test_fewer_and_more_stages_than_there_are() -> None:
    model = seeded(PooledNet())
    assert find_stages(model, make_images((16, 24)), count=1) == ("net.body",)
    assert find_stages(model, make_images((16, 24)), count=9) == ("net.stem", "net.body")


def test_channels_last_stages_of_timm() -> None:
    timm = pytest.importorskip("timm")
    net = timm.create_model(
        "swin_tiny_patch4_window7_224", depths=(1, 1, 1), embed_dim=12, num_heads=(1, 2, 4), img_size=SIZE
    )
    model = wrap_network(net.eval(), images=make_images())
    assert find_stages(model, make_images()) == ("net.layers.0", "net.layers.1", "net.norm")
    shapes = {layer.name: layer.shape for layer in list_layers(model, make_images())}
    assert [shapes[f"net.layers.{stage}"] for stage in range(3)] == [(12, 16, 24), (24, 8, 12), (48, 4, 6)]


def test_plain_transformers_give_evenly_spaced_blocks() -> None:
    net = tv.VisionTransformer(48, 16, 6, 2, 12, 24, num_classes=3).eval()
    model = wrap_network(net, images=make_images((48, 48)))
    block = "net.encoder.layers.encoder_layer_{}".format
    # behind the last attention only the class token counts
    assert find_stages(model, make_images((48, 48))) == (block(1), block(3), block(5) + ".ln_1")
    assert find_stages(model, make_images((48, 48)), count=2) == (block(2), block(5) + ".ln_1")
    few = find_stages(seeded(build_tiny_vit()), make_images((16, 24)), count=3)
    assert few == ("net.encoder.layers.encoder_layer_0", "net.encoder.layers.encoder_layer_1.ln_1")
    flat = seeded(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert find_stages(wrap_network(flat, images=make_images()), make_images()) == ("net.1",)


def test_layers_beside_the_way_to_the_outputs_are_left_out() -> None:
    class Beside(PooledNet):
        def features(self, x: Tensor) -> Tensor:
            found = super().features(x)
            self.net["unused"](x[:, :, ::8, ::8])
            return found

    model = seeded(Beside())
    assert "net.unused" in [layer.name for layer in list_layers(model, make_images((32, 48)))]
    assert find_stages(model, make_images((32, 48))) == ("net.stem", "net.body")


def test_state_gradients_and_memory() -> None:
    model = seeded(PooledNet()).train().requires_grad_(False)
    before = describe_state(model)
    with torch.no_grad():
        first = find_stages(model, make_images((16, 24)))
    check_same_state(before, describe_state(model))
    runs: list[object] = []
    handle = model.net["stem"].register_forward_hook(lambda *_: runs.append(None))
    assert find_stages(model, make_images((32, 32))) == first
    assert not runs
    model.net["body"] = nn.Sequential(nn.Conv2d(4, 5, 3, 2, 1))
    assert find_stages(model, make_images((16, 24))) == first
    assert runs
    handle.remove()


def test_builder_networks_and_bad_calls() -> None:
    model = build_classifier("resnet18", num_outputs=2, output_stride=16)[0]
    assert find_stages(model, make_images(), count=2) == ("net.layer2", "net.layer4")
    with pytest.raises(ConfigError, match="count: expected at least 1 resolution, but got 0"):
        find_stages(model, make_images(), count=0)
    with pytest.raises(ModelError, match="resnet18 could not run on images of shape"):
        list_layers(model, torch.zeros(1, 4, 64, 64))
    pointless = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 2, 1), nn.Flatten())
    classifier = Classifier(
        pointless, name="pointless", num_outputs=2, output_stride=1, default_layer="net.1", head_prefixes=(),
        pooled=False,
    )  # fmt: skip
    classifier.forward = classifier.net.forward
    with pytest.raises(ModelError, match="pointless: no layer with a spatial map"):
        find_stages(classifier, make_images())


@pytest.mark.parametrize("sides", [(30, 96), (96, 30)])
def test_stages_do_not_depend_on_the_first_image(sides: tuple[int, int]) -> None:
    net = tv.resnet18().eval()
    for side in sides:
        images = make_images((side, side))
        found = find_stages(wrap_network(net, images=images), images)
        assert found == ("net.layer2", "net.layer3", "net.layer4")


def test_stages_of_a_network_of_one_size_are_found_at_the_images_size() -> None:
    model = seeded(FlatNet())
    assert find_stages(model, make_images((8, 8)), count=1) == ("net.inplace",)
    with pytest.raises(ModelError, match=r"flat_net could not run on images of shape \(1, 3, 10, 10\)"):
        find_stages(seeded(FlatNet()), make_images((10, 10)))
