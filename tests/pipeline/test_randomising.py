"""Random parameters: which of them, how large, and always the same for a seed."""

from __future__ import annotations

import pytest
import torch

from wsl.errors import ModelError
from wsl.models import build_classifier
from wsl.models.classifier import Classifier
from wsl.pipeline.randomising import randomise


def build(name: str) -> Classifier:
    return build_classifier(name, num_outputs=3, output_stride=8 if name == "small_cnn" else 32)[0]


def changed(name: str, part: str, seed: int = 0) -> tuple[set[str], int]:
    """Names of the parameters that differ afterwards, and the number that is told."""
    model = build(name)
    before = {key: value.clone() for key, value in model.net.named_parameters()}
    count = randomise(model, part, seed)
    after = dict(model.net.named_parameters())
    return {key for key in before if not torch.equal(before[key], after[key])}, count


@pytest.mark.parametrize(
    ("name", "head"), [("small_cnn", "head."), ("mobilenet_v2", "classifier."), ("resnet18", "fc.")]
)
def test_head_is_the_head_alone(name: str, head: str) -> None:
    names, count = changed(name, "head")
    assert names == {key for key, _ in build(name).net.named_parameters() if key.startswith(head)}
    assert count == len(names) == 2


def test_network_is_every_parameter_that_has_a_spread() -> None:
    names, count = changed("small_cnn", "network")
    parameters = dict(build("small_cnn").net.named_parameters())
    assert names == {key for key, value in parameters.items() if value.std(correction=0) > 0}
    assert count == len(parameters)


def test_numbers_have_the_mean_and_spread_of_what_they_replace() -> None:
    model = build("resnet18")
    old = model.net.layer4[0].conv2.weight.detach().clone()
    randomise(model, "network", 0)
    new = model.net.layer4[0].conv2.weight.detach()
    assert float(new.std()) == pytest.approx(float(old.std()), rel=0.01)
    assert float(new.mean()) == pytest.approx(float(old.mean()), abs=float(old.std()) / 100)
    assert abs(torch.corrcoef(torch.stack([old.flatten(), new.flatten()]))[0, 1]) < 0.01


def test_same_seed_same_numbers_and_gradients_stay_off() -> None:
    weights = []
    for seed in (0, 0, 1):
        model = build("small_cnn")
        model.requires_grad_(False)
        randomise(model, "head", seed)
        weights.append(model.net.head.weight)
        assert not model.net.head.weight.requires_grad
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_network_without_a_known_head_is_refused() -> None:
    model = build("small_cnn")
    model.head_prefixes = ()
    with pytest.raises(ModelError, match="small_cnn: expected parameters in the head"):
        randomise(model, "head", 0)
