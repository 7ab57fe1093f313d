"""A stride that became a dilation leaves the values at the coarse positions as they were."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import resnet50

from tests.oracles.models_stride import average_pool_spread, convolve_spread
from wsl.errors import ConfigError
from wsl.models import Classifier, build_classifier
from wsl.models.stride import DilatedAvgPool, dilate, set_output_stride


def images(side: int = 64) -> torch.Tensor:
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(5))


def build(name: str, stride: int) -> Classifier:
    classifier = build_classifier(name, num_outputs=2, output_stride=stride)[0]
    for module in classifier.modules():  # make batch norm do something
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data.uniform_(-0.2, 0.5, generator=torch.Generator().manual_seed(3))
    return classifier


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121"])
@pytest.mark.parametrize("stride", [8, 16])
def test_coarse_positions_keep_their_values(name: str, stride: int) -> None:
    coarse, fine = build(name, 32), build(name, stride)
    fine.net.load_state_dict(coarse.net.state_dict())
    step = 32 // stride
    with torch.no_grad():
        expected, found = coarse.features(images()), fine.features(images())
    assert found.shape[2:] == (64 // stride, 64 // stride)
    torch.testing.assert_close(found[:, :, ::step, ::step], expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found[:, :, 1::step, 1::step], expected)


@pytest.mark.parametrize("name", ["vgg11_bn", "mobilenet_v3_small", "efficientnet_b0"])
@pytest.mark.parametrize("stride", [8, 16])
def test_map_has_the_asked_size(name: str, stride: int) -> None:
    classifier = build(name, stride)
    with torch.no_grad():
        assert classifier.features(images()).shape[2:] == (64 // stride, 64 // stride)
    assert classifier.output_stride == stride


def test_vgg_without_its_last_pooling_is_the_map_before_it() -> None:
    coarse, fine = build("vgg11", 32), build("vgg11", 16)
    fine.net.load_state_dict(coarse.net.state_dict())
    with torch.no_grad():
        expected, found = coarse.features(images()), fine.features(images())
    torch.testing.assert_close(nn.functional.max_pool2d(found, 2), expected)


@pytest.mark.parametrize(("stride", "replaced"), [(16, (False, False, True)), (8, (False, True, True))])
def test_resnet50_is_dilated_as_torchvision_does_it(stride: int, replaced: tuple[bool, ...]) -> None:
    theirs = resnet50(replace_stride_with_dilation=list(replaced))
    ours = resnet50()
    set_output_stride(ours, stride)
    expected = [(m.stride, m.dilation, m.padding) for m in theirs.modules() if isinstance(m, nn.Conv2d)]
    found = [
        (m.stride, m.dilation, m.padding) if m.kernel_size != (1, 1) else (m.stride, (1, 1), m.padding)
        for m in ours.modules()
        if isinstance(m, nn.Conv2d)
    ]
    assert found == expected


def test_spread_convolution_against_loops() -> None:
    conv = nn.Conv2d(2, 3, 3, padding=1)
    x = torch.randn(2, 6, 7)
    dilate(conv, 2)
    expected = convolve_spread(x.numpy(), conv.weight.detach().numpy(), conv.bias.detach().numpy(), 2)
    with torch.no_grad():
        torch.testing.assert_close(conv(x[None])[0], torch.from_numpy(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dilation", [1, 2])
def test_dilated_pooling_against_loops(dilation: int) -> None:
    x = torch.randn(1, 2, 6, 8)
    found = DilatedAvgPool(dilation)(x)
    torch.testing.assert_close(found[0], torch.from_numpy(average_pool_spread(x[0].numpy(), dilation)))
    if dilation == 1:
        torch.testing.assert_close(found[:, :, ::2, ::2], nn.functional.avg_pool2d(x, 2))


@pytest.mark.parametrize(
    ("name", "stride", "works"),
    [("resnet18", 4, "8 or 16 or 32"), ("convnext_tiny", 16, "32"), ("vit_b_16", 32, "16"), ("swin_t", 8, "32")],
)
def test_other_strides_are_refused(name: str, stride: int, works: str) -> None:
    with pytest.raises(ConfigError, match=f"output_stride: {name} works at {works}, but got {stride}"):
        build_classifier(name, num_outputs=2, output_stride=stride)
