"""Published networks and checkpoints with named outputs; what the network sees; what does not go together."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from wsl.cam.preset import get_preset
from wsl.errors import ConfigError, ModelError
from wsl.models import CheckpointMeta, build_classifier, save_checkpoint
from wsl.pipeline.named_classifier import NamedClassifier, load_named_classifier

EXACT = get_preset("grad_cam")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "best.safetensors"
    model, _ = build_classifier("small_cnn", num_outputs=3, output_stride=8)
    meta = CheckpointMeta("small_cnn", 8, "pooled", ("fish", "kite"), "nothing", True, "single", 48, "0", {})
    save_checkpoint(path, model, meta)
    return path


def small(side: int = 64, stretch: bool = False) -> NamedClassifier:
    model, _ = build_classifier("small_cnn", num_outputs=3, output_stride=8)
    return NamedClassifier(model, ("a", "b", "c"), side=side, stretch=stretch)


@pytest.mark.parametrize(
    ("size", "stretch", "expected"),
    [
        ((128, 256), False, (64, 128)),
        ((30, 20), False, (96, 64)),
        ((10, 1000), False, (64, 256)),
        ((1, 1), False, (64, 64)),
        ((100, 300), True, (64, 64)),
    ],
)
def test_what_the_network_sees(size: tuple[int, int], stretch: bool, expected: tuple[int, int]) -> None:
    batch = small(stretch=stretch).make_input(np.full((*size, 3), 255, np.uint8), EXACT)
    assert batch.shape == (1, 3, *expected)
    classifier = small().model
    white = (1 - torch.tensor(classifier.mean)) / torch.tensor(classifier.std)
    assert torch.allclose(batch, white.view(1, 3, 1, 1).expand_as(batch), atol=1e-5)


def test_preset_may_ask_for_aligned_sides() -> None:
    assert small().make_input(np.zeros((100, 200, 3), np.uint8), get_preset("aligned")).shape[2:] == (65, 129)


def test_predictions_are_sorted_and_probable() -> None:
    found = small().predict(torch.tensor([1.0, 3.0, 1.0]))
    assert [(each.output, each.name) for each in found] == [(1, "b"), (0, "a"), (2, "c")]
    assert sum(each.probability for each in found) == pytest.approx(1)
    assert found[0].probability == pytest.approx(1 / (1 + 2 * np.exp(-2)))
    with pytest.raises(ModelError, match="small_cnn: the class scores are NaN or inf"):
        small().predict(torch.tensor([1.0, float("nan"), 0.0]))


def test_multi_label_probabilities_are_sigmoids() -> None:
    model = NamedClassifier(small().model, ("a", "b", "c"), label_mode="multi")
    assert [each.probability for each in model.predict(torch.zeros(3))] == [0.5, 0.5, 0.5]


def test_checkpoint_knows_names_size_and_background(checkpoint: Path) -> None:
    named = load_named_classifier(checkpoint=checkpoint)
    assert named.names == ("fish", "kite", "nothing")
    assert (named.background, named.side, named.stretch, named.label_mode) == (2, 48, True, "single")
    assert load_named_classifier(checkpoint=checkpoint, side=96).side == 96


@pytest.mark.parametrize("extra", [{"model": "resnet18"}, {"weights": "none"}, {"head": "pooled"}, {"outputs": 3}])
def test_checkpoint_and_network_do_not_go_together(checkpoint: Path, extra: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="a checkpoint knows its network; leave out"):
        load_named_classifier(checkpoint=checkpoint, **extra)


@pytest.mark.parametrize(
    ("name", "outputs", "stride"),
    [("resnet18", None, 32), ("vit_b_32", None, 32), ("small_cnn", 4, 8), ("timm/vit_tiny_patch16_224", None, 16)],
)
def test_networks_come_in_their_published_form(name: str, outputs: int | None, stride: int) -> None:
    named = load_named_classifier(model=name, weights="none", outputs=outputs)
    assert named.model.output_stride == stride
    assert named.names[-1] == ("output 3" if outputs else "toilet tissue")


def test_pooled_head_has_imagenet_s_outputs_unless_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "wsl"):
        assert load_named_classifier(model="vgg11", weights="none", head="pooled").model.pooled
    assert "vgg11 has random weights" in caplog.text
    named = load_named_classifier(model="vgg11", weights="none", head="pooled", outputs=4)
    assert named.names == ("output 0", "output 1", "output 2", "output 3")


def test_weights_file_of_other_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, headless = tmp_path / "four.pth", tmp_path / "headless.pth"
    state = build_classifier("resnet18", num_outputs=4)[0].net.state_dict()
    torch.save(state, path)
    torch.save({name: value for name, value in state.items() if not name.startswith("fc.")}, headless)
    with pytest.raises(ConfigError, match=r"four.pth: the class layer \(fc.weight\) has another size than 1000"):
        load_named_classifier(model="resnet18", weights=str(path))
    assert len(load_named_classifier(model="resnet18", weights=str(path), outputs=4).names) == 4
    assert "random" not in caplog.text
    load_named_classifier(model="resnet18", weights=str(headless), outputs=4)
    assert "headless.pth has no fc.weight: this class layer is random" in caplog.text


def test_bad_requests() -> None:
    with pytest.raises(ConfigError, match="Unknown model 'resnet51'"):
        load_named_classifier(model="resnet51", weights="none")
    with pytest.raises(ConfigError, match="expected the number of outputs, because there is no ImageNet head"):
        load_named_classifier(model="small_cnn", weights="none")
    for side in (8, 31, 4097, 10**6):
        with pytest.raises(ConfigError, match=f"side: expected 32 to 4096 pixels, but got {side}"):
            load_named_classifier(model="resnet18", weights="none", side=side)
