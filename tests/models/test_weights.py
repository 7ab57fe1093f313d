"""Weights files are data: read in every common shape, refused when they hold anything else."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from wsl.errors import ModelError
from wsl.models import LoadReport, build_classifier, load_weights, read_state_dict
from wsl.models.torchvision_net import build_net


class Marker:
    """Unpickling it would leave a folder behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1.5)}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {"model_state_dict": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {f"net.{name}": value for name, value in state.items()},
    ],
)
def test_common_wrappers_come_off(tmp_path: Path, state: dict[str, torch.Tensor], wrap: Any) -> None:
    torch.save(wrap(state), tmp_path / "w.pth")
    found = read_state_dict(tmp_path / "w.pth")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_safetensors(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    save_file(state, tmp_path / "w.safetensors")
    assert torch.equal(read_state_dict(tmp_path / "w.safetensors")["a.weight"], state["a.weight"])


def test_pickled_code_is_refused_by_name_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": Marker(tmp_path / "owned")}, tmp_path / "bad.pth")
    with pytest.raises(ModelError, match=r"bad\.pth: refused.*mkdir.*safetensors"):
        read_state_dict(tmp_path / "bad.pth")
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(Marker(tmp_path / "owned"), protocol=2))
    with pytest.raises(ModelError, match=r"raw\.pt"):
        read_state_dict(tmp_path / "raw.pt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all, just some words", b"PK\x03\x04 half a zip"])
def test_broken_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        read_state_dict(tmp_path / name)


def test_truncated_file_is_named(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, tmp_path / "w.pth")
    whole = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"w\.pth: "):
        read_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize(("content", "found"), [([1, 2], "list"), ({"epoch": 3}, "no tensors")])
def test_files_without_weights_are_refused(tmp_path: Path, content: Any, found: str) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=f"expected a state dict.*{found}"):
        read_state_dict(tmp_path / "w.pth")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such weights file"):
        read_state_dict(tmp_path / "none.pth")


def test_head_of_another_size_stays_fresh_and_is_reported() -> None:
    source = build_net("resnet18", None)[0].state_dict()
    classifier, _ = build_classifier("resnet18", num_outputs=5)
    fresh = classifier.net.fc.weight.clone()
    report = load_weights(classifier, source | {"extra.weight": torch.zeros(1)})
    assert report == LoadReport((), ("extra.weight",), ("fc.weight", "fc.bias"))
    assert torch.equal(classifier.net.layer1[0].conv1.weight, source["layer1.0.conv1.weight"])
    assert torch.equal(classifier.net.fc.weight, fresh)


def test_missing_parameters_are_reported_and_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    classifier, _ = build_classifier("resnet18", num_outputs=5)
    source = {name: value for name, value in classifier.net.state_dict().items() if not name.startswith("layer4.1")}
    del source["fc.bias"]
    report = load_weights(classifier, source, source="half.pth")
    assert "layer4.1.conv1.weight" in report.missing
    assert "fc.bias" in report.missing
    assert "half.pth lacks 10 parameters of resnet18, e.g. 'layer4.1.conv1.weight'" in caplog.text


def test_another_architecture_is_refused() -> None:
    classifier, _ = build_classifier("resnet18", num_outputs=5)
    state = dict(classifier.net.state_dict())
    state["layer3.0.conv1.weight"] = torch.zeros(7, 7, 1, 1)
    with pytest.raises(
        ModelError, match=r"w.pth: 'layer3.0.conv1.weight' has shape \(7, 7, 1, 1\), but resnet18 expects"
    ):
        load_weights(classifier, state, source="w.pth")
    with pytest.raises(ModelError, match=r"w\.pth: no parameter fits resnet18"):
        load_weights(classifier, {"something.else": torch.zeros(2)}, source="w.pth")


def test_densenets_old_parameter_names_load() -> None:
    classifier, _ = build_classifier("densenet121", num_outputs=2)
    name = "features.denseblock1.denselayer1.norm1.weight"
    state = classifier.net.state_dict()
    state["features.denseblock1.denselayer1.norm.1.weight"] = torch.full_like(state.pop(name), 7)
    assert load_weights(classifier, state) == LoadReport()
    assert (classifier.net.state_dict()[name] == 7).all()


def test_real_imagenet_weights_know_a_photograph(real_data: Path) -> None:
    """The network with these weights is sure of something; with a fresh head it keeps its features."""
    from wsl.data.images import read_image
    from wsl.train.augment import centre_image
    from wsl.train.loop import normalise_images

    path = real_data / "weights" / "mobilenet_v2_imagenet.pth"
    classifier, report = build_classifier("mobilenet_v2", weights=str(path))
    assert report == LoadReport()
    photograph = sorted((real_data / "data" / "coco_mini" / "images").iterdir())[0]
    view = centre_image(read_image(photograph), image_size=225, resize="crop")
    with torch.no_grad():
        probabilities = classifier(normalise_images(view[None], classifier, torch.device("cpu"))).softmax(1)
    assert probabilities.max() > 0.05  # 50 times chance
    _, fresh = build_classifier("mobilenet_v2", num_outputs=6, output_stride=16, weights=str(path))
    assert fresh.mismatched == ("classifier.1.weight", "classifier.1.bias")
