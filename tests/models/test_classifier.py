"""The contract holds for one small network of each family: features, head, hook layer and logits agree."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from wsl.errors import ConfigError, ModelError
from wsl.models import Classifier, build_classifier, predict_probabilities
from wsl.models.classifier import MODELS

OUTPUTS = 3
SIZE = (64, 96)
OWN_STRIDE = {"vit_b_32": 32, "small_cnn": 8, "timm/vit_tiny_patch16_224": 16}
LINEAR = ("resnet18", "vgg11", "vgg11_bn", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "densenet121",
          "vit_b_32", "swin_t", "small_cnn", "timm/resnet10t", "timm/swin_tiny_patch4_window7_224")  # fmt: skip
POOLED = (*LINEAR, "convnext_tiny", "timm/convnext_atto", "timm/mobilenetv3_small_050")
TOKENS = ("timm/vit_tiny_patch16_224",)


@cache
def build(name: str, head: str = "pooled") -> Classifier:
    if name.startswith("timm/"):
        pytest.importorskip("timm")
    stride = OWN_STRIDE.get(name, 32)
    return build_classifier(name, num_outputs=OUTPUTS, output_stride=stride, head=head)[0]


def images(size: tuple[int, int] = SIZE, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1))


def hook_output(classifier: Classifier, x: torch.Tensor) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    layer = classifier.get_submodule(classifier.default_layer)
    handle = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        classifier(x)
    handle.remove()
    return seen[-1]


@pytest.mark.parametrize("name", POOLED)
def test_logits_are_the_head_of_the_pooled_map(name: str) -> None:
    classifier, x = build(name), images()
    with torch.no_grad():
        maps, logits = classifier.features(x), classifier(x)
        again = classifier.pooled_head(maps.mean((2, 3)))
    stride = classifier.output_stride
    assert classifier.pooled
    assert maps.shape[2:] == (SIZE[0] // stride, SIZE[1] // stride)
    assert logits.shape == (2, OUTPUTS) == (2, classifier.num_outputs)
    torch.testing.assert_close(logits, again, rtol=1e-5, atol=1e-6)
    assert logits.std() > 0


@pytest.mark.parametrize("name", LINEAR)
def test_linear_head_is_the_whole_head(name: str) -> None:
    classifier = build(name)
    linear = classifier.linear_head()
    assert isinstance(linear, nn.Linear)
    pooled = images((1, 1)).mean() + torch.rand(4, linear.in_features)
    with torch.no_grad():
        torch.testing.assert_close(linear(pooled), classifier.pooled_head(pooled))


@pytest.mark.parametrize("name", ["convnext_tiny", "timm/convnext_atto", "timm/mobilenetv3_small_050"])
def test_a_head_with_more_than_a_linear_layer_says_so(name: str) -> None:
    assert build(name).linear_head() is None


@pytest.mark.parametrize("name", [*POOLED, *TOKENS])
def test_default_layer_gives_a_map_of_the_input(name: str) -> None:
    classifier, x = build(name), images()
    maps = classifier.tokens_to_map(hook_output(classifier, x), SIZE)
    stride = classifier.output_stride
    assert maps.shape[2:] == (SIZE[0] // stride, SIZE[1] // stride)
    if classifier.pooled:
        with torch.no_grad():
            torch.testing.assert_close(maps, classifier.features(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "vit_b_32"])
def test_published_head_gives_torchvisions_logits(name: str) -> None:
    classifier = build_classifier(name)[0]
    theirs = get_model(name).eval()
    with torch.no_grad():
        for parameter in list(theirs.parameters())[-2:]:  # a ViT's head starts at zero
            parameter.normal_(generator=torch.Generator().manual_seed(2))
        classifier.net.load_state_dict(theirs.state_dict())
        size = (224, 224) if name.startswith("vit") else (64, 64)
        x = images(size, count=1)
        torch.testing.assert_close(classifier(x), theirs(x), rtol=1e-4, atol=1e-4)
    assert classifier.num_outputs == 1000


def test_original_vgg_head_is_kept_and_has_no_pooled_map() -> None:
    classifier = build("vgg11", head="original")
    assert not classifier.pooled
    assert classifier.linear_head() is None
    maps = hook_output(classifier, images((64, 64), count=1))
    assert maps.shape == (1, 512, 4, 4)
    assert (maps >= 0).all()
    for call in (classifier.features, classifier.pooled_head):
        with pytest.raises(ModelError, match="vgg11 with its own head has no global average pooling"):
            call(images())


def test_original_head_of_mobilenet_v3_has_two_layers() -> None:
    classifier, x = build("mobilenet_v3_small", head="original"), images()
    assert classifier.linear_head() is None
    with torch.no_grad():
        torch.testing.assert_close(classifier(x), classifier.pooled_head(classifier.features(x).mean((2, 3))))


def test_a_layer_without_a_map_is_refused() -> None:
    with pytest.raises(ModelError, match=r"expected a layer with output \(B, C, h, w\).*\(2, 5\).*net.layer4"):
        build("resnet18").tokens_to_map(torch.zeros(2, 5), SIZE)


def test_probabilities() -> None:
    classifier, x = build("small_cnn"), images()
    single, multi = predict_probabilities(classifier, x, "single"), predict_probabilities(classifier, x, "multi")
    torch.testing.assert_close(single.sum(1), torch.ones(2))
    with torch.no_grad():
        torch.testing.assert_close(multi, 1 / (1 + (-classifier(x)).exp()))
    with pytest.raises(ConfigError, match="label_mode: expected one of"):
        predict_probabilities(classifier, x, "both")


def test_every_registered_name_is_one_that_torchvision_knows() -> None:
    from torchvision.models import list_models

    assert set(MODELS.names()) - {"small_cnn"} <= set(list_models())
    assert len(MODELS.names()) > 40
