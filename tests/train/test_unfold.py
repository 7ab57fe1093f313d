"""Folded batch norm gets statistics without changing the function."""

from __future__ import annotations

import torch
from torch import nn

from wsl.models import build_classifier
from wsl.train.unfold import is_folded, unfold_batch_norm


def folded_classifier():
    """A network with identity statistics and a non-zero shift, as converted weights have."""
    classifier, _ = build_classifier("mobilenet_v2", num_outputs=3)
    generator = torch.Generator().manual_seed(0)
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data = torch.randn(module.bias.shape, generator=generator) * 0.1
    return classifier.eval()


def test_function_stays_and_batch_statistics_fit() -> None:
    classifier = folded_classifier()
    images = torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = classifier(images)
        unfold_batch_norm(classifier, images)
        after = classifier(images)
        classifier.net.classifier[0].eval()
        classifier.net.features.train()
        training = classifier(images)
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)
    # On the measured images even the batch statistics are the same, so training starts from the same function.
    torch.testing.assert_close(training, before, rtol=5e-2, atol=5e-3)


def test_only_folded_weights_are_taken_for_folded() -> None:
    assert is_folded(folded_classifier())
    fresh, _ = build_classifier("mobilenet_v2", num_outputs=3)
    assert not is_folded(fresh)
    unfolded = folded_classifier()
    unfold_batch_norm(unfolded, torch.randn(4, 3, 64, 64))
    assert not is_folded(unfolded)
    vit_like, _ = build_classifier("convnext_tiny", num_outputs=3)
    assert not is_folded(vit_like)
