"""A checkpoint is enough to rebuild the classifier; anything else is refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from wsl.errors import ModelError
from wsl.models import CheckpointMeta, build_classifier, load_checkpoint, save_checkpoint

META = CheckpointMeta(
    model="mobilenet_v3_small", output_stride=16, head="pooled", class_names=("crack", "fray"), background_name="free",
    background_output=True, label_mode="single", image_size=64, wsl_version="0",
    metrics={"accuracy": 0.5, "loss": None},
)  # fmt: skip


def test_round_trip(tmp_path: Path) -> None:
    classifier, _ = build_classifier("mobilenet_v3_small", num_outputs=3, output_stride=16, seed=4)
    classifier.mean = (0.1, 0.2, 0.3)
    save_checkpoint(tmp_path / "best.safetensors", classifier, META)
    found, meta = load_checkpoint(tmp_path / "best.safetensors")
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(found(x), classifier(x))
    assert meta == META
    assert found.mean == (0.1, 0.2, 0.3)
    assert found.output_stride == 16
    assert not found.training


def test_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    classifier, _ = build_classifier("small_cnn", num_outputs=3, output_stride=8)
    meta = replace(META, model="small_cnn", output_stride=8, metrics={"b": float("nan"), "a": 1.0})
    save_checkpoint(tmp_path / "a.safetensors", classifier, meta)
    loaded, again = load_checkpoint(tmp_path / "a.safetensors")
    save_checkpoint(tmp_path / "b.safetensors", loaded.to(memory_format=torch.channels_last), again)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert again.metrics == {"a": 1.0, "b": None}


def test_number_of_outputs_must_fit(tmp_path: Path) -> None:
    classifier, _ = build_classifier("small_cnn", num_outputs=2, output_stride=8)
    with pytest.raises(ModelError, match="expected 3 outputs for 2 classes, but the classifier has 2"):
        save_checkpoint(tmp_path / "best.safetensors", classifier, META)
    assert not (tmp_path / "best.safetensors").exists()


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\x05\0\0\0\0\0\0\0nojson"])
def test_broken_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "best.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"best\.safetensors: expected a checkpoint"):
        load_checkpoint(tmp_path / "best.safetensors")


def test_truncated_missing_and_foreign_files(tmp_path: Path) -> None:
    classifier, _ = build_classifier("small_cnn", num_outputs=3, output_stride=8)
    save_checkpoint(tmp_path / "c.safetensors", classifier, replace(META, model="small_cnn", output_stride=8))
    (tmp_path / "c.safetensors").write_bytes((tmp_path / "c.safetensors").read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"c\.safetensors: expected a checkpoint"):
        load_checkpoint(tmp_path / "c.safetensors")
    with pytest.raises(ModelError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ModelError, match=r"foreign\.safetensors: .*give such a file as model\.weights"):
        load_checkpoint(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize(
    "about", ['{"model": "small_cnn"}', '{"mean": [0, 0, 0], "std": [1, 1, 1], "class_names": []}']
)
def test_metadata_of_another_version_is_named(tmp_path: Path, about: str) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "old.safetensors", metadata={"wsl": about})
    with pytest.raises(ModelError, match=r"old\.safetensors: the checkpoint does not fit"):
        load_checkpoint(tmp_path / "old.safetensors")
