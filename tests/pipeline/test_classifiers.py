"""Which classifier a run uses and how its outputs are matched with the data set's classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsl.config import ModelConfig
from wsl.errors import ConfigError
from wsl.models import CheckpointMeta, build_classifier, save_checkpoint
from wsl.pipeline.classifiers import choose_weights, identity_of, load_ready_classifier, needs_training
from wsl.types import ClassSet


def make_checkpoint(path: Path, names: tuple[str, ...]) -> Path:
    model, _ = build_classifier("small_cnn", num_outputs=len(names), output_stride=8)
    save_checkpoint(
        path, model, CheckpointMeta("small_cnn", 8, "pooled", names, "background", False, "multi", 48, "0", {})
    )
    return path


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    path = make_checkpoint(tmp_path / "a.safetensors", ("cat", "dog", "cow"))
    ready = load_ready_classifier(ModelConfig(checkpoint=str(path)), ClassSet(("cow", "cat")), Path("none"))
    assert ready.groups == {1: (2,), 2: (0,)}
    assert ready.label_mode == "multi"
    with pytest.raises(ConfigError, match="does not know the class 'dogg'"):
        load_ready_classifier(ModelConfig(checkpoint=str(path)), ClassSet(("dogg",)), Path("none"))


def test_missing_classifier_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wsl train"):
        load_ready_classifier(ModelConfig(), ClassSet(("cow",)), tmp_path / "best.safetensors")


def test_groups_use_the_published_outputs() -> None:
    model = ModelConfig(name="mobilenet_v2", head="original", weights=None, groups={"dog": "151-268"})
    ready = load_ready_classifier(model, ClassSet(("cat", "dog")), Path("none"))
    assert ready.groups == {2: tuple(range(151, 269))}
    assert not needs_training(model)


def test_weights_may_be_a_list_of_which_the_first_usable_counts(tmp_path: Path) -> None:
    present = tmp_path / "here.pth"
    present.touch()
    assert choose_weights([str(tmp_path / "gone.pth"), str(present), "IMAGENET1K_V1"]) == str(present)
    assert choose_weights([str(tmp_path / "gone.pth"), "IMAGENET1K_V1"]) == "IMAGENET1K_V1"
    assert choose_weights(None) is None
    with pytest.raises(ConfigError, match=r"gone\.pth"):
        choose_weights([str(tmp_path / "gone.pth")])
    with pytest.raises(ConfigError, match="expected a file"):
        choose_weights(3)


def test_identity_follows_the_bytes_not_the_path(tmp_path: Path) -> None:
    first = make_checkpoint(tmp_path / "a.safetensors", ("cat",))
    second = tmp_path / "b.safetensors"
    second.write_bytes(first.read_bytes())
    before = identity_of(ModelConfig(checkpoint=str(first)))
    assert identity_of(ModelConfig(checkpoint=str(second))) == before
    second.write_bytes(b"other")
    assert identity_of(ModelConfig(checkpoint=str(second))) != before
