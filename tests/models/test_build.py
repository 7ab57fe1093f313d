"""From a name to a classifier: what is refused, what is fixed by the seed, where weights come from."""

from __future__ import annotations

import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch

from wsl.errors import ConfigError, MissingExtraError, ModelError
from wsl.models import build_classifier, list_models
from wsl.models.torchvision_net import build_net


def test_list_is_sorted_and_holds_every_family() -> None:
    names = list_models()
    assert names == sorted(names)
    assert {"resnet50", "vgg16_bn", "mobilenet_v2", "efficientnet_b0", "densenet121", "convnext_tiny", "vit_b_16",
            "swin_t", "small_cnn"} <= set(names)  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnet81"}, "Unknown model 'resnet81'. Did you mean: resnet18"),
        ({"name": "resnet18", "head": "mlp"}, "head: expected one of"),
        ({"name": "resnet18", "num_outputs": 0}, "num_outputs: expected at least 1, but got 0"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_classifier(**options)


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        (
            "mobilenet_v2",
            "IMAGENET1K_V3",
            "Unknown weights 'IMAGENET1K_V3' for mobilenet_v2.*Did you mean: IMAGENET1K_V",
        ),
        ("mobilenet_v2", "ResNet50_Weights.IMAGENET1K_V1", "Unknown weights 'ResNet50_Weights.IMAGENET1K_V1'"),
        ("small_cnn", "imagenet", "small_cnn has no published weights"),
        ("mobilenet_v2", "missing.pth", "missing.pth: no such weights file"),
    ],
)
def test_weights_that_do_not_exist(name: str, weights: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_classifier(name, num_outputs=2, output_stride=8, weights=weights)


@pytest.mark.parametrize("weights", ["imagenet", "IMAGENET1K_V1", "MobileNet_V2_Weights.IMAGENET1K_V1"])
def test_a_failed_download_says_which_and_what_else(monkeypatch: pytest.MonkeyPatch, weights: str) -> None:
    from torchvision.models import MobileNet_V2_Weights

    def fail(*_args: Any, **_options: Any) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(MobileNet_V2_Weights, "get_state_dict", fail)
    with pytest.raises(
        ModelError, match=r"MobileNet_V2_Weights\.IMAGENET1K_V\d could not .*model\.weights=FILE"
    ) as found:
        build_classifier("mobilenet_v2", num_outputs=2, weights=weights)
    assert "http" not in str(found.value)


def test_published_weights_are_loaded_with_their_normalisation(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import MobileNet_V2_Weights

    published = build_net("mobilenet_v2", None)[0].state_dict()
    monkeypatch.setattr(MobileNet_V2_Weights, "get_state_dict", lambda *_args, **_options: published)
    classifier, report = build_classifier("mobilenet_v2", num_outputs=2, weights="imagenet")
    assert report.mismatched == ("classifier.1.weight", "classifier.1.bias")
    assert torch.equal(classifier.net.features[0][0].weight, published["features.0.0.weight"])
    assert classifier.mean == (0.485, 0.456, 0.406)


def test_seed_fixes_what_is_random_and_leaves_the_callers_state() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    weights = [
        build_classifier("small_cnn", num_outputs=2, output_stride=8, seed=s)[0].net.head.weight for s in (0, 0, 1)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(before, torch.random.get_rng_state())


def test_local_file(tmp_path: Path) -> None:
    source, _ = build_classifier("small_cnn", num_outputs=2, output_stride=8, seed=3)
    torch.save(source.net.state_dict(), tmp_path / "own.pth")
    found, _ = build_classifier("small_cnn", num_outputs=2, output_stride=8, weights=str(tmp_path / "own.pth"))
    assert torch.equal(found.net.head.weight, source.net.head.weight)


def test_timm_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"Model timm/resnet10t needs timm: pip install 'wsl\[timm\]'"):
        build_classifier("timm/resnet10t", num_outputs=2)
