"""Transformers: token grids of images of any size, and their position embeddings."""

from __future__ import annotations

import pytest
import torch

from wsl.errors import ConfigError, ModelError
from wsl.models import build_classifier, load_weights
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


def test_weights_for_another_image_size_load(vit: VitClassifier) -> None:
    state = vit.net.state_dict()
    state["encoder.pos_embedding"] = torch.full((1, 1 + 16, 768), 0.25)
    load_weights(vit, state)
    torch.testing.assert_close(vit.net.encoder.pos_embedding.detach(), torch.full((1, 50, 768), 0.25))


def test_swin_turns_its_inner_maps() -> None:
    swin = build_classifier("swin_t", num_outputs=2)[0]
    assert swin.tokens_to_map(torch.zeros(1, 8, 12, 192), (64, 96)).shape == (1, 192, 8, 12)
    assert swin.tokens_to_map(torch.zeros(1, 768, 2, 3), (64, 96)).shape == (1, 768, 2, 3)


def test_timm_tokens_and_errors() -> None:
    pytest.importorskip("timm")
    classifier = build_classifier("timm/vit_tiny_patch16_224", num_outputs=2, output_stride=16)[0]
    assert not classifier.pooled
    assert classifier.mean == (0.5, 0.5, 0.5)
    tokens = torch.arange(7.0).reshape(1, 7, 1)
    assert classifier.tokens_to_map(tokens, (32, 48)).tolist() == [[[[1, 2, 3], [4, 5, 6]]]]
    with torch.no_grad():
        assert classifier(torch.zeros(1, 3, 50, 61)).shape == (1, 2)
    with pytest.raises(ModelError, match="expected a layer with 2 x 3 tokens"):
        classifier.tokens_to_map(torch.zeros(1, 3, 1), (32, 48))
    with pytest.raises(ConfigError, match=r"Unknown timm model 'resnet10x'.*Did you mean"):
        build_classifier("timm/resnet10x")
    with pytest.raises(ConfigError, match="works at 16, but got 8"):
        build_classifier("timm/vit_tiny_patch16_224", num_outputs=2, output_stride=8)
