"""Networks of any kind as classifiers: what is found out about them, and that it is true."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision.models as tv
from torch import Tensor, nn
from torch.nn import functional

from tests.oracles.cam_networks import PooledNet, check_same_state, describe_state, seeded
from wsl.errors import ModelError
from wsl.models.probe import find_outputs, probe_network
from wsl.models.wrap import WrappedNetwork, wrap_network


def make_images(side: int = 64, width: int | None = None) -> Tensor:
    return torch.randn(1, 3, side, width or side, generator=torch.Generator().manual_seed(1))


def lively(net: nn.Module) -> nn.Module:
    """Heads that start as zeros get weights."""
    generator = torch.Generator().manual_seed(2)
    for module in net.modules():
        if isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight, generator=generator)
    return net.eval()


class Small(nn.Module):
    """Two convolutions, then a head chosen by `kind`."""

    def __init__(self, kind: str = "mean") -> None:
        super().__init__()
        self.kind = kind
        self.first = nn.Conv2d(3, 4, 3, 2, 1)
        self.second = nn.Conv2d(4, 5, 3, 2, 1)
        self.act = nn.ReLU(inplace=True)
        self.norm = nn.LayerNorm(5)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(5, 6)

    def forward(self, x: Tensor) -> Any:
        x = self.second(self.act(self.first(x)))
        if self.kind == "dense":
            return {"aux": x[:, :2], "out": functional.interpolate(x, scale_factor=4)}
        if self.kind == "max":
            return self.head(self.act(x).amax((2, 3)))
        if self.kind == "rectified":
            return self.head(functional.relu(x, inplace=True).mean((2, 3)))
        if self.kind == "normed":
            return self.head(self.drop(self.norm(self.act(x).mean((2, 3)))))
        if self.kind == "no head":
            return x.mean((2, 3))
        outputs = self.head(self.drop(x.mean((2, 3))))
        pairs = {"tuple": (outputs, x), "object": SimpleNamespace(logits=outputs), "dict": {"logits": outputs}}
        return pairs.get(self.kind, 2 * outputs if self.kind == "doubled" else outputs)


KINDS: dict[str, tuple[str, bool, str | None]] = {  # default layer, pooled, name of the linear head
    "mean": ("second", True, "head"),
    "rectified": ("second", True, "head"),
    "tuple": ("second", True, "head"),
    "object": ("second", True, "head"),
    "dict": ("second", True, "head"),
    "no head": ("second", True, None),
    "max": ("second", False, None),
    "doubled": ("second", False, None),
    "dense": ("act", False, None),  # the scores themselves are no layer to look at
}


@pytest.mark.parametrize("kind", KINDS)
def test_heads_of_a_small_network(kind: str) -> None:
    layer, pooled, linear = KINDS[kind]
    net = seeded(Small(kind))
    found = wrap_network(net, images=make_images(16, 24))
    assert (found.pooled, found.default_layer) == (pooled, f"net.{layer}")
    assert found.output_stride == (2 if kind == "dense" else 4)
    check_as_promised(found, net, make_images(20, 12), linear)


def test_a_normalised_head_is_pooled_but_not_linear() -> None:
    net = seeded(Small("normed"))
    found = wrap_network(net, images=make_images(16, 24))
    assert isinstance(found, WrappedNetwork)
    assert found.findings.head == (("norm", (5,)), ("head", (5,)))
    check_as_promised(found, net, make_images(20, 12), None)


def check_as_promised(found: Any, net: nn.Module, images: Tensor, linear: str | None) -> None:
    """The wrapper's outputs are the network's, and so is head(mean(features)) where it says so."""
    with torch.no_grad():
        expected = find_outputs(net(images), "net")
        torch.testing.assert_close(found(images), expected, rtol=0, atol=0)
        assert found.num_outputs == expected.shape[1]
        if found.pooled:
            pooled = found.features(images).mean((2, 3))
            torch.testing.assert_close(found.pooled_head(pooled), expected, rtol=1e-4, atol=1e-4)
        else:
            with pytest.raises(ModelError, match="no global average pooling"):
                found.features(images)
    assert found.linear_head() is (None if linear is None else net.get_submodule(linear))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, str, bool, str | None, int]] = {
    "resnet18": (tv.resnet18, 64, "layer4", True, "fc", 32),
    "densenet121": (tv.densenet121, 64, "features", True, "classifier", 32),
    "vgg11": (tv.vgg11, 64, "features", False, None, 32),
    "mobilenet_v2": (tv.mobilenet_v2, 64, "features", True, "classifier.1", 32),
    "mobilenet_v3_small": (tv.mobilenet_v3_small, 64, "features", True, None, 32),
    "efficientnet_b0": (tv.efficientnet_b0, 64, "features", True, "classifier.1", 32),
    "squeezenet1_1": (tv.squeezenet1_1, 64, "classifier.2", True, None, 16),
    "convnext_tiny": (tv.convnext_tiny, 64, "features", True, None, 32),
    "swin_t": (tv.swin_t, 64, "permute", True, "head", 32),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_torchvision_networks_as_they_are(name: str) -> None:
    make, side, layer, pooled, linear, stride = NETWORKS[name]
    net = lively(make())
    found = wrap_network(net, images=make_images(side, side * 3 // 2))
    assert (found.default_layer, found.pooled, found.output_stride) == (f"net.{layer}", pooled, stride)
    check_as_promised(found, net, make_images(side), linear)


@pytest.mark.parametrize("zero_head", [False, True])
def test_class_token_of_a_raw_vision_transformer(zero_head: bool) -> None:
    net = tv.VisionTransformer(48, 16, 2, 2, 12, 24, num_classes=3).eval()
    net = net if zero_head else lively(net)
    found = wrap_network(net)
    assert (found.default_layer, found.pooled, found.output_stride) == (
        "net.encoder.layers.encoder_layer_1.ln_1", False, 16,
    )  # fmt: skip
    tokens = torch.arange(10.0).reshape(1, 10, 1)
    assert found.tokens_to_map(tokens, (48, 48)).flatten().tolist() == list(range(1, 10))
    with pytest.raises(ModelError, match=r"expected 3 x 3 = 9 tokens \+ 1 prefix tokens, but got shape \(1, 12, 1\)"):
        found.tokens_to_map(torch.zeros(1, 12, 1), (48, 48))
    with pytest.raises(ModelError, match=r"could not run on images of shape \(1, 3, 32, 32\) \(Wrong image height"):
        wrap_network(net, images=make_images(32))(make_images(32))


def test_a_flat_head_says_which_images_it_refuses() -> None:
    net = seeded(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 8, 2)))
    found = wrap_network(net, images=make_images(16))
    with pytest.raises(ModelError, match=r"could not run on images of shape \(1, 3, 20, 20\) \(.*cannot be multiplied"):
        found(make_images(20))
    with pytest.raises(RuntimeError, match="to have 3 channels"):
        found(torch.zeros(1, 4, 16, 16))


@pytest.mark.parametrize("sides", [(32, 96), (96, 32), (224, 96)])
def test_findings_do_not_depend_on_the_first_image(sides: tuple[int, int]) -> None:
    net = tv.resnet18().eval()  # at 32 pixels its last map has one position
    for side in sides:
        found = wrap_network(net, images=make_images(side))
        assert (found.default_layer, found.pooled, found.output_stride) == ("net.layer4", True, 32)


class Picky(nn.Module):
    """Runs on small images only; below 16 pixels its last map has one position."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 5, 3, 4, 1)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        if max(x.shape[2:]) > 64:
            raise ValueError("too large")
        return self.head(self.second(self.first(x)).mean((2, 3)))


@pytest.mark.parametrize("sides", [(8, 32, 8), (32, 8, 32)])
def test_findings_of_a_refused_noise_count_for_their_size_alone(sides: tuple[int, ...]) -> None:
    net = seeded(Picky())
    expected = {8: ("net.first", False), 32: ("net.second", True)}
    for side in sides:
        found = wrap_network(net, images=make_images(side))
        assert (found.default_layer, found.pooled) == expected[side]
    with pytest.raises(ModelError, match=r"could not run on images of shape \(1, 3, 224, 224\) \(too large\)"):
        wrap_network(seeded(Picky()))


def test_halvings_without_remainder_are_probed_at_256_pixels() -> None:
    class Deep(Small):
        def forward(self, x: Tensor) -> Any:
            if x.shape[2] % 64:
                raise RuntimeError("sizes do not match")
            return super().forward(x)

    assert wrap_network(seeded(Deep()), images=make_images(8)).default_layer == "net.second"


@pytest.mark.parametrize("magnitude", [1e-6, 1e-4, 1.0, 1e4])
@pytest.mark.parametrize(("kind", "pooled"), [("mean", True), ("max", False), ("doubled", False)])
def test_the_proof_holds_at_any_magnitude(kind: str, pooled: bool, magnitude: float) -> None:
    net = seeded(Small(kind))
    with torch.no_grad():
        for value in (*net.second.parameters(), net.head.bias):
            value *= magnitude
    assert wrap_network(net).pooled is pooled


def test_small_differences_beside_a_large_bias_decide() -> None:
    for kind, factor, pooled in (("mean", 1e-4, True), ("max", 1e-6, False)):
        net = seeded(Small(kind))
        with torch.no_grad():
            net.second.weight *= factor
            net.second.bias.abs_().add_(1)
        assert wrap_network(net).pooled is pooled


def test_outputs_that_never_change_prove_nothing() -> None:
    zeros, dead = seeded(Small("doubled")), seeded(Small("max"))
    with torch.no_grad():
        zeros.head.weight.zero_()
        zeros.head.bias.zero_()
        dead.second.weight.zero_()
        dead.second.bias.abs_()
    assert not wrap_network(zeros).pooled
    assert not wrap_network(dead).pooled


def test_features_stop_at_the_layer_and_leave_no_hook() -> None:
    net = seeded(Small("normed"))
    found = wrap_network(net)
    before, runs = describe_state(net), []
    handles = [net.get_submodule(each).register_forward_hook(lambda *_: runs.append(None)) for each in ("norm", "head")]
    with torch.no_grad():
        features = found.features(make_images(16))
        assert not runs
        torch.testing.assert_close(features, net.act(net.second(net.act(net.first(make_images(16))))))
    for handle in handles:
        handle.remove()
    check_same_state(before, describe_state(net))


def test_a_layer_that_does_not_run_is_named() -> None:
    class Choosing(Small):
        def forward(self, x: Tensor) -> Any:
            return x.mean((2, 3)) if x.shape[2] == 4 else super().forward(x)

    with pytest.raises(ModelError, match=r"layer 'second' did not run on \(1, 3, 4, 4\); choose another"):
        wrap_network(seeded(Choosing())).features(make_images(4))


TIMM: dict[str, tuple[dict[str, Any], str, bool, int]] = {
    "deit_tiny_distilled_patch16_224": ({"depth": 2}, "blocks.1.norm1", False, 2),
    "vit_tiny_patch16_224": ({"depth": 2, "global_pool": "avg", "class_token": False}, "norm", True, 0),
    "swin_tiny_patch4_window7_224": ({"depths": (1, 1), "embed_dim": 12, "num_heads": (1, 2)}, "norm", True, 0),
    "convnext_atto": ({}, "norm_pre", True, 0),
}


@pytest.mark.parametrize("name", TIMM)
def test_timm_networks_as_they_are(name: str) -> None:
    timm = pytest.importorskip("timm")
    options, layer, pooled, prefix = TIMM[name]
    size = {} if name == "convnext_atto" else {"img_size": (64, 96)}
    net = lively(timm.create_model(name, num_classes=4, **options, **size))
    found = wrap_network(net)
    assert isinstance(found, WrappedNetwork)
    assert (found.default_layer, found.pooled) == (f"net.{layer}", pooled)
    assert found.findings.layout.prefix == prefix
    linear = {"vit_tiny_patch16_224": "head", "swin_tiny_patch4_window7_224": "head.fc"}.get(name)
    if name == "vit_tiny_patch16_224":
        linear = "head" if isinstance(net.fc_norm, nn.Identity) else None
    check_as_promised(found, net, make_images(64, 96).flip(3), linear)


def test_segmentation_networks() -> None:
    net = tv.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=4).eval()
    found = wrap_network(net, images=make_images(64, 96))
    assert (found.pooled, found.default_layer, found.num_outputs) == (False, "net.classifier.cbr", 4)
    with torch.no_grad():
        assert found(make_images(64, 96)).shape == (1, 4, 64, 96)


def test_a_classifier_passes_through_and_a_layer_can_be_chosen() -> None:
    classifier = PooledNet()
    assert wrap_network(classifier) is classifier
    net = seeded(Small())
    images = make_images(16)
    own, other = (wrap_network(net, images=images, layer=layer) for layer in ("second", "first"))
    assert (own.pooled, own.default_layer) == (True, "net.second")
    assert (other.pooled, other.default_layer) == (False, "net.first")
    with pytest.raises(ModelError, match=r"layer: Small has no layer 'secnd'. Did you mean: second"):
        wrap_network(net, images=images, layer="secnd")
    named = wrap_network(net, images=images, name="mine", mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0))
    assert (named.name, named.mean, named.std) == ("mine", (0.1, 0.2, 0.3), (1.0, 1.0, 1.0))


def test_what_was_found_is_forgotten_when_a_module_is_exchanged() -> None:
    net = seeded(Small())
    assert wrap_network(net, images=make_images(16)).num_outputs == 6
    calls: list[Tensor] = []
    handle = net.first.register_forward_pre_hook(lambda _, given: calls.append(given[0]))
    assert wrap_network(net).num_outputs == 6
    assert not calls
    handle.remove()
    net.head = nn.Linear(5, 2)
    assert wrap_network(net, images=make_images(16)).num_outputs == 2


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_network_is_left_as_it_came(guard: Callable[[], Any]) -> None:
    net = seeded(Small()).train().requires_grad_(False)
    net.norm.eval()
    before = describe_state(net)
    with guard():
        found = wrap_network(net, images=make_images(16) + 0)
    assert found.pooled
    assert found.training
    check_same_state(before, describe_state(net))
    with pytest.raises(ModelError):
        wrap_network(seeded(Small("dense")), images=torch.zeros(1, 5, 16, 16))
    check_same_state(before, describe_state(net))


def test_one_position_proves_nothing() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 5, 2, 2), nn.Flatten(), nn.Linear(5, 2))
    found = wrap_network(seeded(net), images=make_images(4))
    assert (found.pooled, found.default_layer) == (False, "net.1")


@pytest.mark.parametrize(
    ("output", "message"),
    [(torch.zeros(3), r"expected outputs \(B, O\) or .*, but got \(3,\)"),
     ({"boxes": torch.zeros(1, 2)}, "but got dict"), ([], "but got list"), ("x", "but got str")],
)  # fmt: skip
def test_outputs_that_are_no_scores(output: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        find_outputs(output, "net")


def test_networks_without_a_map_are_refused() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    with pytest.raises(ModelError, match="Sequential: no layer with a spatial map on the way to the outputs"):
        wrap_network(net, images=make_images(4))
    with pytest.raises(ModelError, match=r"could not run on images of shape \(1, 3, 224, 224\)"):
        wrap_network(net)


def test_probe_keeps_what_in_place_layers_overwrite() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8, 2))
    nn.init.constant_(seeded(net)[0].bias, -1.0)
    probe = probe_network(net, make_images(2), "net")
    assert [call.name for call in probe.calls] == ["0", "1", "2", "3"]
    assert (probe.calls[0].output < 0).any()
    gradients = probe.find_gradients()
    weights = torch.linspace(1, 2, 2) @ net[3].weight
    torch.testing.assert_close(gradients["1"].flatten(), weights)
    torch.testing.assert_close(gradients["0"], gradients["1"] * (probe.calls[0].output > 0))
