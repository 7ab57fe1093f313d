"""Training learns, can be killed anywhere, and is the same every time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

import wsl.train.loop as loop
from wsl.errors import ConfigError, DataError, ModelError
from wsl.models import build_classifier, load_checkpoint
from wsl.progress import Silent
from wsl.train import TrainResult, TrainSettings, train_classifier
from wsl.types import ClassSet, Sample

FILES = ("best.safetensors", "last.pt", "log.jsonl")
CLASSES = ClassSet(("red", "green"), background_name="nothing")
SETTINGS = TrainSettings(
    epochs=3, batch_size=4, image_size=32, learning_rate=3e-3, head_learning_rate_factor=3, warmup_epochs=0.5,
    augment=("hflip", "rotate90", "color", "crop"), workers=1,
)  # fmt: skip


class Kill(Exception):  # noqa: N818
    pass


class KillAtStep(Silent):
    """Progress that ends the program at a step, as far as the training can tell."""

    def __init__(self, at: int) -> None:
        self.left = at

    def step(self, count: int = 1, note: str = "") -> None:
        self.left -= count
        if self.left == 0:
            raise Kill


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """12 images of a red or green square on noise; the colour is the label."""
    folder, generator = tmp_path_factory.mktemp("drawn"), np.random.default_rng(0)
    samples = []
    for number in range(12):
        pixels = generator.integers(0, 90, (36, 40, 3), dtype=np.uint8)
        top, left = generator.integers(0, 18, 2)
        pixels[top : top + 16, left : left + 16, number % 2] = 230
        path = folder / f"{number:02d}.png"
        PIL.Image.fromarray(pixels).save(path)
        samples.append(Sample(f"{number:02d}", path, (number % 2 + 1,)))
    return samples


def train(
    folder: Path,
    samples: Sequence[Sample],
    settings: TrainSettings = SETTINGS,
    *,
    val: Sequence[Sample] | None = None,
    background_output: bool = False,
    progress: Any = None,
    model: str = "small_cnn",
) -> TrainResult:
    outputs = len(CLASSES) + int(background_output)
    stride = 8 if model == "small_cnn" else 16
    classifier, _ = build_classifier(model, num_outputs=outputs, output_stride=stride, seed=7)
    return train_classifier(
        classifier, samples, samples if val is None else val, settings, classes=CLASSES, folder=folder,
        background_output=background_output, device=torch.device("cpu"), progress=progress or Silent(),
    )  # fmt: skip


def read_log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def same_bytes(a: Path, b: Path) -> list[bool]:
    return [(a / name).read_bytes() == (b / name).read_bytes() for name in FILES]


@pytest.fixture(scope="module")
def uninterrupted(drawn: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    train(folder, drawn)
    return folder


def test_learns_single_labels(drawn: list[Sample], tmp_path: Path) -> None:
    result = train(tmp_path, drawn, replace(SETTINGS, epochs=12))
    history = read_log(tmp_path)
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    assert result.metrics["accuracy"] > 0.9
    assert result.failures == ()
    assert history[result.best_epoch - 1]["metrics"]["accuracy"] == max(line["metrics"]["accuracy"] for line in history)
    classifier, meta = load_checkpoint(tmp_path / "best.safetensors")
    assert (meta.class_names, meta.label_mode, meta.image_size) == (("red", "green"), "single", 32)
    assert meta.metrics == result.metrics
    assert classifier.num_outputs == 2


def test_learns_multi_labels_with_background_images(drawn: list[Sample], tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=10, label_mode="multi", class_balance="weights", optimizer="sgd",
                       learning_rate=0.05, schedule="poly", label_smoothing=0.05)  # fmt: skip
    samples = [replace(sample, class_ids=()) if sample.class_ids == (2,) else sample for sample in drawn]
    result = train(tmp_path, samples, settings)
    assert result.metrics["mean_average_precision"] > 0.9
    assert set(read_log(tmp_path)[-1]["classes"]) == {"red", "green"}
    assert read_log(tmp_path)[-1]["classes"]["green"] is None  # no image has it


def test_background_output_is_the_last(drawn: list[Sample], tmp_path: Path) -> None:
    samples = [replace(sample, class_ids=()) if sample.class_ids == (2,) else sample for sample in drawn]
    train(tmp_path, samples, replace(SETTINGS, epochs=1, class_balance="sampler"), background_output=True)
    _, meta = load_checkpoint(tmp_path / "best.safetensors")
    assert (meta.num_outputs, meta.background_output, meta.background_name) == (3, True, "nothing")
    assert set(read_log(tmp_path)[0]["classes"]) == {"red", "green", "nothing"}


@pytest.mark.parametrize("step", [1, 3, 4, 8])
def test_killed_in_an_epoch_ends_with_the_same_bytes(
    drawn: list[Sample], uninterrupted: Path, tmp_path: Path, step: int
) -> None:
    with pytest.raises(Kill):
        train(tmp_path, drawn, progress=KillAtStep(step))
    train(tmp_path, drawn)
    assert same_bytes(tmp_path, uninterrupted) == [True] * 3


@pytest.mark.parametrize("write", range(9))
def test_killed_at_any_write_ends_with_the_same_bytes(
    drawn: list[Sample], uninterrupted: Path, tmp_path: Path, write: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three writes in an epoch; killed before each of the first three, then once in a while."""
    written = 0

    def count(original: Any) -> Any:
        def call(*arguments: Any) -> None:
            nonlocal written
            if written == write:
                raise Kill
            written += 1
            original(*arguments)

        return call

    with monkeypatch.context() as patched:
        for name in ("save_checkpoint", "save_state", "write_bytes"):
            patched.setattr(loop, name, count(getattr(loop, name)))
        try:
            train(tmp_path, drawn)
        except Kill:
            assert written == write
        else:
            assert written <= write  # fewer writes than that: not every epoch is a new best
    train(tmp_path, drawn)
    assert same_bytes(tmp_path, uninterrupted) == [True] * 3


def test_a_finished_training_is_not_repeated(drawn: list[Sample], uninterrupted: Path) -> None:
    before = [(uninterrupted / name).read_bytes() for name in FILES]
    again = train(uninterrupted, drawn, progress=KillAtStep(1))
    assert [(uninterrupted / name).read_bytes() for name in FILES] == before
    assert again.metrics == load_checkpoint(uninterrupted / "best.safetensors")[1].metrics


def test_threads_and_the_callers_random_state_do_not_matter(
    drawn: list[Sample], uninterrupted: Path, tmp_path: Path
) -> None:
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    train(tmp_path, drawn, replace(SETTINGS, workers=0))
    assert same_bytes(tmp_path, uninterrupted) == [True] * 3
    assert torch.equal(before, torch.random.get_rng_state())


def test_another_seed_trains_something_else(drawn: list[Sample], uninterrupted: Path, tmp_path: Path) -> None:
    train(tmp_path, drawn, replace(SETTINGS, seed=1))
    assert same_bytes(tmp_path, uninterrupted) == [False] * 3


def test_dropout_and_a_pretrained_family_resume_too(drawn: list[Sample], tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=2, optimizer="sgd")
    train(tmp_path / "whole", drawn, settings, model="mobilenet_v2")
    with pytest.raises(Kill):
        train(tmp_path / "killed", drawn, settings, model="mobilenet_v2", progress=KillAtStep(5))
    train(tmp_path / "killed", drawn, settings, model="mobilenet_v2")
    assert same_bytes(tmp_path / "whole", tmp_path / "killed") == [True] * 3


def test_other_settings_in_the_same_folder_are_refused(drawn: list[Sample], uninterrupted: Path) -> None:
    with pytest.raises(ConfigError, match=r"last\.pt: holds a training with other settings \(epochs 3 -> 5\)"):
        train(uninterrupted, drawn, replace(SETTINGS, epochs=5))
    with pytest.raises(ConfigError, match="training images 12 "):
        train(uninterrupted, drawn[:-1], val=drawn)


def test_broken_state_is_named(drawn: list[Sample], tmp_path: Path) -> None:
    train(tmp_path, drawn, replace(SETTINGS, epochs=1))
    (tmp_path / "last.pt").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"last\.pt: broken training state .*delete the file"):
        train(tmp_path, drawn, replace(SETTINGS, epochs=1))


def test_without_the_best_weights_it_trains_anew(drawn: list[Sample], uninterrupted: Path, tmp_path: Path) -> None:
    train(tmp_path, drawn)
    (tmp_path / "best.safetensors").unlink()
    train(tmp_path, drawn)
    assert same_bytes(tmp_path, uninterrupted) == [True] * 3


def test_without_validation_the_last_epoch_is_the_best(drawn: list[Sample], tmp_path: Path) -> None:
    result = train(tmp_path, drawn, replace(SETTINGS, epochs=2), val=[])
    assert result.best_epoch == 2
    assert set(result.metrics) == {"train_loss"}
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    best = load_checkpoint(tmp_path / "best.safetensors")[0].net.state_dict()
    assert all(torch.equal(state[f"net.{name}"], value) for name, value in best.items())


def test_unreadable_images_are_skipped_and_listed(drawn: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    bad = [Sample(f"bad{i}", tmp_path / "bad.png", (1,)) for i in range(2)]
    result = train(tmp_path / "run", [*drawn[:5], bad[0]], replace(SETTINGS, epochs=2), val=[*drawn, bad[1]])
    assert [image_id for image_id, _ in result.failures] == ["bad0", "bad1"]
    assert "bad.png" in result.failures[0][1]
    again = train(tmp_path / "run", [*drawn[:5], bad[0]], replace(SETTINGS, epochs=2), val=[*drawn, bad[1]])
    assert again == result


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    bad = [Sample(str(i), tmp_path / "none.png", (1,)) for i in range(3)]
    with pytest.raises(DataError, match=r"None of 3 training images can be used; the first: .*none\.png"):
        train(tmp_path, bad)


def test_a_loss_that_is_not_finite_is_an_error(drawn: list[Sample], tmp_path: Path) -> None:
    settings = replace(SETTINGS, optimizer="sgd", learning_rate=100.0, head_learning_rate_factor=1e4, epochs=9)
    with pytest.raises(ModelError, match=r"loss became (nan|inf) in epoch \d; lower train\.learning_rate \(now 100\)"):
        train(tmp_path, drawn, settings)


def test_frozen_batch_norm_and_bfloat16(drawn: list[Sample], tmp_path: Path) -> None:
    fresh, _ = build_classifier("small_cnn", num_outputs=2, output_stride=8, seed=7)
    settings = replace(SETTINGS, epochs=1, freeze_batch_norm=True, precision="bfloat16", resize="crop")
    train(tmp_path, drawn, settings)
    trained = load_checkpoint(tmp_path / "best.safetensors")[0].net.state_dict()
    statistics = [name for name in trained if "running_mean" in name]
    assert statistics
    assert all(torch.equal(trained[name], fresh.net.state_dict()[name]) for name in statistics)
    assert not torch.equal(trained["head.weight"], fresh.net.head.weight)


@pytest.mark.parametrize(
    ("samples", "options", "error", "message"),
    [
        (1, {}, DataError, "Expected at least 2 training images, but got 1"),
        (4, {"background_output": True, "settings": replace(SETTINGS, label_mode="multi")}, ConfigError,
         "A background output goes with train.label_mode=single"),
    ],
)  # fmt: skip
def test_bad_calls(
    drawn: list[Sample], tmp_path: Path, samples: int, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(tmp_path, drawn[:samples], **options)


def test_outputs_must_go_with_the_classes(drawn: list[Sample], tmp_path: Path) -> None:
    classifier, _ = build_classifier("small_cnn", num_outputs=5, output_stride=8)
    with pytest.raises(ConfigError, match="Expected 2 outputs for 2 classes, but the classifier has 5"):
        train_classifier(
            classifier, drawn, [], SETTINGS, classes=CLASSES, background_output=False, folder=tmp_path,
            device=torch.device("cpu"), progress=Silent(),
        )  # fmt: skip


def test_a_class_that_nobody_shows_is_warned_of(
    drawn: list[Sample], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(tmp_path, drawn[::2], replace(SETTINGS, epochs=1), val=[])
    assert "No training image has the class 'green'" in caplog.text
