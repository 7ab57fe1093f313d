from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from wsl.errors import ConfigError
from wsl.models.classifier import MODELS
from wsl.models.small_cnn import SmallCNN


@pytest.fixture(scope="module")
def classifier() -> SmallCNN:
    torch.manual_seed(0)
    return SmallCNN(num_outputs=5).eval()


def test_registered_under_its_name() -> None:
    built = MODELS.get("small_cnn")("small_cnn", num_outputs=4, output_stride=8, head="pooled")
    assert isinstance(built, SmallCNN)
    assert (built.name, built.num_outputs, built.output_stride, built.pooled) == ("small_cnn", 4, 8, True)


def test_without_a_number_of_outputs_is_refused() -> None:
    with pytest.raises(ConfigError, match="small_cnn: expected the number of outputs"):
        MODELS.get("small_cnn")("small_cnn", num_outputs=None, output_stride=8, head="pooled")


@pytest.mark.parametrize(("size", "grid"), [((128, 128), (16, 16)), ((65, 97), (9, 13)), ((8, 8), (1, 1))])
def test_features_have_stride_8_and_are_not_negative(
    classifier: SmallCNN, size: tuple[int, int], grid: tuple[int, int]
) -> None:
    features = classifier.features(torch.randn(2, 3, *size))
    assert features.shape == (2, classifier.linear_head().in_features, *grid)
    assert features.min() >= 0


def test_logits_are_linear_in_the_mean_feature(classifier: SmallCNN) -> None:
    images = torch.randn(3, 3, 40, 56)
    head = classifier.linear_head()
    maps = functional.conv2d(classifier.features(images), head.weight[:, :, None, None])
    expected = maps.mean((2, 3)) + head.bias
    torch.testing.assert_close(classifier(images), expected, rtol=1e-4, atol=1e-5)


def test_default_layer_is_what_the_pooling_sees(classifier: SmallCNN) -> None:
    seen: list[torch.Tensor] = []
    layer = classifier.get_submodule(classifier.default_layer)
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    images = torch.randn(1, 3, 32, 32)
    classifier(images)
    handle.remove()
    torch.testing.assert_close(seen[0], classifier.features(images))


def test_every_parameter_gets_a_gradient() -> None:
    classifier = SmallCNN(num_outputs=2)
    classifier(torch.randn(4, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in classifier.parameters())


def test_it_is_small(classifier: SmallCNN) -> None:
    assert sum(p.numel() for p in classifier.parameters()) < 400_000
