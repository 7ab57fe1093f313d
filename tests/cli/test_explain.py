"""`wsl explain`: what is printed, exit codes, one sentence for every kind of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsl.cli.main import main
from wsl.models import CheckpointMeta, build_classifier, save_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images, one file that is none, and a checkpoint."""
    (tmp_path / "in").mkdir()
    for index, name in enumerate(("a.png", "b.png")):
        pixels = np.random.default_rng(index).integers(0, 256, (30, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / name)
    (tmp_path / "bad.png").write_bytes(b"no image")
    model, _ = build_classifier("small_cnn", num_outputs=3, output_stride=8)
    meta = CheckpointMeta(
        "small_cnn", 8, "pooled", ("fish", "kite", "[leaf]"), "background", False, "multi", 32, "0", {}
    )
    save_checkpoint(tmp_path / "best.safetensors", model, meta)
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    common = ["explain", "--quiet", "--device", "cpu", "--output", str(folder / "out")]
    return main([*common, "--checkpoint", str(folder / "best.safetensors"), *arguments])


def test_table_and_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = [str(folder / "in" / name) for name in ("a.png", "b.png")]
    assert run(folder, *images, "--classes", "kite", "--true", "fish", "--top", "2") == 0
    shown = capsys.readouterr().out
    assert f"{images[0]}: 30 x 40, seen at 32 x 32" in shown
    assert shown.count("probability") == 2
    summary = json.loads((folder / "out" / "predictions.json").read_text())
    for image in summary["images"]:
        for row in image["top"]:
            assert f"{row['probability']:.4f}" in shown
        assert all((folder / "out" / file).is_file() for file in image["files"])
    assert "files and predictions.json in" in shown
    assert "[leaf]" in (folder / "out" / "classes.txt").read_text()


def test_names_with_brackets_are_printed_as_they_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, str(folder / "in" / "a.png"), "--classes", "[leaf]") == 0
    assert "[leaf]" in capsys.readouterr().out


def test_methods_layers_poolings_and_figure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--method", "grad_cam, eigen_cam", "--pooling", "--figure", "--colour", "jet", "--alpha", "0.3"]
    assert run(folder, str(folder / "in"), *arguments) == 0
    shown = capsys.readouterr().out
    assert "logit, max pooling" in shown
    names = {path.name.split(".", 2)[2] for path in (folder / "out").glob("a.*.heat.png")}
    assert names == {f"{tag}.heat.png" for tag in ("grad_cam", "eigen_cam", "average_pooling", "max_pooling")}
    assert (folder / "out" / "a.figure.png").is_file()
    assert (folder / "out" / "b.figure.png").is_file()


def test_exit_codes_of_bad_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, str(folder / "bad.png")) == 3
    message = capsys.readouterr().err.strip()
    assert "bad.png: not an image that can be read" in message
    assert len(message.splitlines()) == 1
    assert run(folder, str(folder / "bad.png"), str(folder / "in" / "a.png")) == 4
    assert (folder / "out" / "maps" / "grad_cam" / "a.npz").is_file()
    assert run(folder, str(folder / "nowhere.png")) == 3
    assert "nowhere.png: no such image file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--method", "grad_camm"], 2, "Did you mean: grad_cam?"),
        (["--classes", "kit, fishh"], 2, "no class is called 'fishh'. Did you mean: fish?"),
        (["--true", "3"], 2, "expected an output number in 0..2, but got 3"),
        (["--preset", "irm"], 2, "Unknown CAM preset 'irm'"),
        (["--colour", "jett"], 2, "Unknown colour map 'jett'"),
        (["--layer", "net.nowhere"], 2, "has no layer 'net.nowhere'"),
        (["--model", "resnet18"], 2, "leave out model, weights, head and outputs"),
        (["--device", "cuda:77"], 2, "device=cuda:77 cannot be used here"),
        (["--alpha", "2"], 2, "alpha: expected a value in [0, 1], but got 2.0"),
        (["--side", "1000000"], 2, "side: expected 32 to 4096 pixels, but got 1000000"),
        ([""], 2, "images: expected the name of a file or folder, but got an empty one"),
        (["--output", ""], 2, "output: expected the name of a folder, but got an empty one"),
    ],
)
def test_bad_options_are_one_sentence(
    arguments: list[str], code: int, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, str(folder / "in" / "a.png"), *arguments) == code
    message = capsys.readouterr().err.strip()
    assert message.startswith("wsl explain: ")
    assert words in message
    assert len(message.splitlines()) == 1
    assert not (folder / "out").exists()


def test_a_file_as_output_is_refused_before_anything_is_loaded(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "best.safetensors").write_bytes(b"broken")
    image = folder / "in" / "a.png"
    before = image.read_bytes()
    for place in (image, image / "below"):
        assert run(folder, str(image), "--output", str(place)) == 2
        message = capsys.readouterr().err
        assert "output: expected a folder, but" in message
        assert "a.png is a file" in message
    assert image.read_bytes() == before


def test_an_image_with_a_long_name(folder: Path) -> None:
    image = folder / "in" / ("x" * 230 + ".png")
    (folder / "in" / "a.png").rename(image)
    assert run(folder, str(image)) == 0
    assert len(list((folder / "out").glob("x*.png"))) == 2


def test_published_network_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, out = str(folder / "in" / "a.png"), str(folder / "out")
    arguments = ["--model", "resnet18", "--weights", "none", "--side", "32", "--classes", "tabby", "--output", out]
    assert main(["explain", "--quiet", "--device", "cpu", image, *arguments]) == 0
    assert "tabby" in capsys.readouterr().out
    assert (folder / "out" / "a.tabby.grad_cam.overlay.png").is_file()


def test_maps_can_be_evaluated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The score maps and classes.txt go straight into `wsl evaluate`."""
    (folder / "truth").mkdir()
    for name in ("a", "b"):
        truth = np.zeros((30, 40), np.uint8)
        truth[8:20, 5:30] = 2
        Image.fromarray(truth).save(folder / "truth" / f"{name}.png")
    assert run(folder, str(folder / "in"), "--classes", "kite") == 0
    out = folder / "out"
    command = ["evaluate", "--quiet", str(out / "maps" / "grad_cam"), str(folder / "truth")]
    assert main([*command, "--classes", str(out / "classes.txt")]) == 0
    assert "kite" in capsys.readouterr().out
