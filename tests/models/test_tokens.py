"""Transformers: token grids of images of any size, and their position embeddings."""

from __future__ import annotations

import pytest
import torch

from wsl.errors import ConfigError, ModelError
from wsl.models import build_classifier, load_weights
from wsl.models.spatial import to_channels_first
from wsl.models.vit import VitClassifier, resample_positions


@pytest.fixture(scope="module")
def vit() -> VitClassifier:
    classifier = build_classifier("vit_b_32", num_outputs=2, head="original")[0]
    assert isinstance(classifier, VitClassifier)
    return classifier


def test_tokens_are_laid_out_row_by_row_without_the_class_token(vit: VitClassifier) -> None:
    tokens = torch.arange(7.0).reshape(1, 7, 1)  # class token 0, then 2 x 3 patches
    found = vit.tokens_to_map(tokens, (64, 96))
    assert found.tolist() == [[[[1, 2, 3], [4, 5, 6]]]]


@pytest.mark.parametrize(("size", "grid"), [((64, 96), (2, 3)), ((70, 81), (2, 3)), ((20, 33), (1, 1))])
def test_any_size_gets_a_grid_over_the_whole_image(
    vit: VitClassifier, size: tuple[int, int], grid: tuple[int, int]
) -> None:
    assert vit.find_grid(size) == grid
    with torch.no_grad():
        assert vit.encode(torch.zeros(1, 3, *size)).shape == (1, 1 + grid[0] * grid[1], 768)


def test_positions_are_resampled_only_when_the_grid_changes() -> None:
    embedding = torch.randn(1, 1 + 9, 4)
    assert resample_positions(embedding, (3, 3)) is embedding
    flat = torch.cat([torch.full((1, 1, 4), 9.0), torch.full((1, 9, 4), 2.0)], dim=1)
    found = resample_positions(flat, (2, 5))
    assert found.shape == (1, 11, 4)
    torch.testing.assert_close(found[:, 0], flat[:, 0])
    torch.testing.assert_close(found[:, 1:], torch.full((1, 10, 4), 2.0))


@pytest.mark.parametrize("shape", [(1, 768), (1, 6, 4), (1, 8, 4)])
def test_tokens_that_do_not_fit_are_refused(vit: VitClassifier, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"vit_b_32: expected 2 x 3 = 6 tokens \+ 1 prefix tokens, but got shape"):
        vit.tokens_to_map(torch.zeros(shape), (64, 96))


def test_weights_for_another_image_size_load(vit: VitClassifier) -> None:
    state = vit.net.state_dict()
    state["encoder.pos_embedding"] = torch.full((1, 1 + 16, 768), 0.25)
    load_weights(vit, state)
    torch.testing.assert_close(vit.net.encoder.pos_embedding.detach(), torch.full((1, 50, 768), 0.25))


def test_swin_turns_its_inner_maps() -> None:
    swin = build_classifier("swin_t", num_outputs=2)[0]
    assert swin.tokens_to_map(torch.zeros(1, 8, 12, 192), (64, 96)).shape == (1, 192, 8, 12)
    assert swin.tokens_to_map(torch.zeros(1, 768, 2, 3), (64, 96)).shape == (1, 768, 2, 3)


@pytest.mark.parametrize("shape", [(1, 7), (6, 49, 96), (1, 16, 24)])
def test_swin_refuses_what_is_no_map(shape: tuple[int, ...]) -> None:
    swin = build_classifier("swin_t", num_outputs=2)[0]
    with pytest.raises(ModelError, match=r"swin_t: expected a layer with output \(B, C, h, w\)"):
        swin.tokens_to_map(torch.zeros(shape), (64, 96))


@pytest.mark.parametrize(
    ("shape", "size", "channels_last", "expected"),
    [
        ((2, 56, 56, 96), (224, 224), True, (96, 56, 56)),
        ((2, 56, 56, 96), (224, 224), False, (96, 56, 56)),
        ((2, 96, 56, 56), (224, 224), True, (96, 56, 56)),
        ((2, 7, 7, 768), (224, 224), False, (768, 7, 7)),
        ((2, 3, 224, 224), (224, 224), True, (3, 224, 224)),
        ((2, 16, 24, 20), (64, 96), False, (20, 16, 24)),
        ((2, 16, 24, 36), (64, 96), True, (36, 16, 24)),
        ((2, 64, 17, 25), (65, 97), False, (64, 17, 25)),  # padded and cut sides
        ((2, 64, 64, 64), (128, 128), False, (64, 64, 64)),
        ((2, 9, 9, 10), (36, 36), True, (10, 9, 9)),  # both fit, the network decides
        ((2, 9, 9, 10), (36, 36), False, (9, 9, 10)),
    ],
)
def test_order_of_a_map_is_told_by_the_shape_of_the_input(
    shape: tuple[int, ...], size: tuple[int, int], channels_last: bool, expected: tuple[int, ...]
) -> None:
    assert to_channels_first(torch.zeros(shape), size, "net", channels_last).shape[1:] == expected


def test_equally_fitting_orders_follow_the_network_and_misfits_are_refused() -> None:
    cube = torch.arange(8.0).reshape(1, 2, 2, 2)
    assert to_channels_first(cube, (8, 8), "net") is cube
    assert torch.equal(to_channels_first(cube, (8, 8), "net", channels_last=True), cube.permute(0, 3, 1, 2))
    with pytest.raises(ModelError, match=r"net: expected a layer with a map of the input's shape, 64 x 96, but got"):
        to_channels_first(torch.zeros(1, 3, 10, 40), (64, 96), "net")


def test_timm_gap_transformer_looks_at_the_tokens_that_its_head_pools() -> None:
    pytest.importorskip("timm")
    classifier = build_classifier("timm/vit_relpos_small_patch16_224", num_outputs=2, output_stride=16)[0]
    assert classifier.default_layer == "net.norm"


def test_timm_tokens_and_errors() -> None:
    pytest.importorskip("timm")
    classifier = build_classifier("timm/vit_tiny_patch16_224", num_outputs=2, output_stride=16)[0]
    assert not classifier.pooled
    assert classifier.mean == (0.5, 0.5, 0.5)
    tokens = torch.arange(7.0).reshape(1, 7, 1)
    assert classifier.tokens_to_map(tokens, (32, 48)).tolist() == [[[[1, 2, 3], [4, 5, 6]]]]
    with torch.no_grad():
        assert classifier(torch.zeros(1, 3, 50, 61)).shape == (1, 2)
    with pytest.raises(ModelError, match=r"expected 2 x 3 = 6 tokens \+ 1 prefix tokens, but got shape \(1, 9, 1\)"):
        classifier.tokens_to_map(torch.zeros(1, 9, 1), (32, 48))
    late = classifier.tokens_to_map(torch.arange(6.0).reshape(1, 6, 1), (32, 48))  # before a late class token joins
    assert late.flatten().tolist() == list(range(6))
    with pytest.raises(ConfigError, match=r"Unknown timm model 'resnet10x'.*Did you mean"):
        build_classifier("timm/resnet10x")
    with pytest.raises(ConfigError, match="works at 16, but got 8"):
        build_classifier("timm/vit_tiny_patch16_224", num_outputs=2, output_stride=8)
