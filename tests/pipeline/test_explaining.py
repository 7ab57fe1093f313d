"""Single images explained: which classes, which files, which failures; every kind of network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from wsl.cam.call import compute_score_maps
from wsl.cam.engine import no_side_effects
from wsl.cam.preset import get_preset
from wsl.cam.store import read_score_maps
from wsl.data.images import read_image
from wsl.errors import ConfigError, DataError, ModelError
from wsl.models import build_classifier
from wsl.pipeline.explaining import ExplainOptions, explain_images, list_image_files
from wsl.pipeline.named_classifier import NamedClassifier, load_named_classifier

NAMES = ("cat", "dog", "fish", "kite")


def draw_image(path: Path, seed: int = 0, size: tuple[int, int] = (40, 56)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    PillowImage.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def classifier() -> NamedClassifier:
    model, _ = build_classifier("small_cnn", num_outputs=4, output_stride=8, seed=3)
    return NamedClassifier(model, NAMES, side=40)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return draw_image(tmp_path / "in" / "img.png")


def other(explained_top: int) -> str:
    """A class that was not predicted."""
    return NAMES[(explained_top + 1) % 4]


def test_top_class_is_explained_by_default(classifier: NamedClassifier, image: Path, tmp_path: Path) -> None:
    (found,), failures = explain_images([image], classifier, ExplainOptions(top=2), tmp_path / "out")
    assert failures == []
    assert [each.output for each in found.explained] == [found.top[0].output]
    assert len(found.top) == 2
    name = found.top[0].name
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    pictures = {f"img.{name}.grad_cam.heat.png", f"img.{name}.grad_cam.overlay.png"}
    assert written == {*pictures, "maps/grad_cam/img.npz", "classes.txt", "predictions.json"}
    assert set(found.files) == pictures | {"maps/grad_cam/img.npz"}


def test_maps_are_those_of_the_engine(classifier: NamedClassifier, image: Path, tmp_path: Path) -> None:
    options = ExplainOptions(classes="fish,cat", methods=("grad_cam", "eigen_cam"), preset="paper")
    explain_images([image], classifier, options, tmp_path)
    pixels = read_image(image)  # its shorter side is `side`, so that nothing is resized
    expected = compute_score_maps(
        classifier.model, [pixels], [2, 0], method=["grad_cam", "eigen_cam"], preset="paper"
    )  # fmt: skip
    for method in ("grad_cam", "eigen_cam"):
        maps = read_score_maps(tmp_path / "maps" / method / "img.npz", "img")
        assert maps.class_ids == (3, 1)
        assert maps.size == (40, 56)
        assert np.allclose(maps.scores, expected.maps[method][0].scores, atol=1e-5)
    assert np.allclose(maps.class_scores, [expected.logits.softmax(1)[0, each] for each in (2, 0)], atol=1e-5)
    assert (tmp_path / "classes.txt").read_text().split() == list(NAMES)


def test_predictions_file_says_everything(classifier: NamedClassifier, image: Path, tmp_path: Path) -> None:
    (found,), _ = explain_images([image], classifier, ExplainOptions(classes="kite", true="dog"), tmp_path)
    summary = json.loads((tmp_path / "predictions.json").read_text())
    (said,) = summary["images"]
    assert said["top"][0] == {
        "output": found.top[0].output, "name": found.top[0].name, "logit": found.top[0].logit,
        "probability": found.top[0].probability,
    }  # fmt: skip
    batch = classifier.make_input(read_image(image), get_preset("grad_cam"))
    with no_side_effects(classifier.model):
        logits = classifier.model(batch)[0]
    assert [each["logit"] for each in said["top"]] == pytest.approx(sorted(logits.tolist(), reverse=True), abs=1e-5)
    assert said["size"] == [40, 56]
    assert said["true"]["name"] == "dog"
    assert summary["preset"]["normaliser"] == "min_max"
    assert summary["options"]["methods"] == ["grad_cam"]


def test_true_class_stands_beside_a_wrong_prediction(classifier: NamedClassifier, image: Path, tmp_path: Path) -> None:
    (plain,), _ = explain_images([image], classifier, ExplainOptions(), tmp_path / "a")
    top = plain.top[0]
    (right,), _ = explain_images([image], classifier, ExplainOptions(true=top.name), tmp_path / "b")
    assert [each.output for each in right.explained] == [top.output]
    (wrong,), _ = explain_images([image], classifier, ExplainOptions(true=other(top.output)), tmp_path / "c")
    assert [each.name for each in wrong.explained] == [top.name, other(top.output)]
    assert wrong.true is not None
    assert wrong.true.name == other(top.output)


def test_layers_and_poolings_have_files_of_their_own(classifier: NamedClassifier, image: Path, tmp_path: Path) -> None:
    layers = [name for name, module in classifier.model.named_modules() if isinstance(module, torch.nn.Conv2d)][-2:]
    options = ExplainOptions(methods=("grad_cam", "eigen_cam"), layers=tuple(layers), pooling=True, figure=True)
    (found,), _ = explain_images([image], classifier, options, tmp_path)
    name = found.top[0].name
    tags = [f"{method}.{layer}" for method in ("grad_cam", "eigen_cam") for layer in layers]
    for tag in [*tags, "average_pooling", "max_pooling"]:
        assert f"img.{name}.{tag}.heat.png" in found.files
        assert f"maps/{tag}/img.npz" in found.files
    assert len(found.files) == 3 * 6 + 1
    assert (tmp_path / "img.figure.png").is_file()
    average, maximum = (found.pooling[kind][0] for kind in ("average", "max"))
    assert average.logit == pytest.approx(found.top[0].logit, abs=1e-4)
    assert maximum.logit != pytest.approx(average.logit, abs=1e-3)


def test_stages_are_three_columns(image: Path, tmp_path: Path) -> None:
    named = load_named_classifier(model="resnet18", weights="none", outputs=3, side=64)
    (found,), _ = explain_images([image], named, ExplainOptions(layers=("stages",)), tmp_path)
    folders = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert [name.split(".net.")[1].split(".")[0] for name in folders] == ["layer2", "layer3", "layer4"]
    assert len(found.files) == 9


def test_same_bytes_twice(classifier: NamedClassifier, image: Path, tmp_path: Path) -> None:
    options = ExplainOptions(figure=True, pooling=True)
    for folder in ("a", "b"):
        explain_images([image], classifier, options, tmp_path / folder)
    files = [path.relative_to(tmp_path / "a") for path in sorted((tmp_path / "a").rglob("*.*"))]
    assert len(files) > 8
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_one_bad_image_does_not_stop_the_others(classifier: NamedClassifier, image: Path, tmp_path: Path) -> None:
    bad = tmp_path / "in" / "bad.png"
    bad.write_bytes(b"no image")
    found, failures = explain_images(
        [bad, image, tmp_path / "none.png"], classifier, ExplainOptions(), tmp_path / "out"
    )
    assert [each.name for each in found] == ["img"]
    assert [each.image_id for each in failures] == ["bad", "none"]
    assert "bad.png: not an image" in failures[0].message
    assert json.loads((tmp_path / "out" / "predictions.json").read_text())["failures"][1]["image_id"] == "none"


def test_trouble_is_told_for_every_classifier(image: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        model, _ = build_classifier("small_cnn", num_outputs=4, output_stride=8, seed=3)
        for parameter in model.parameters():
            parameter.data.zero_()
        paths = [image, draw_image(tmp_path / "in" / "zoo.png", 1)]
        explain_images(paths, NamedClassifier(model, NAMES, side=40), ExplainOptions(), tmp_path / "out")
    told = [record.getMessage() for record in caplog.records if "(told once)" in record.getMessage()]
    assert len(told) == 2
    assert told[0] == told[1]


def test_a_file_as_output_is_refused(classifier: NamedClassifier, image: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a folder, but .*img\.png is a file"):
        explain_images([image], classifier, ExplainOptions(), image)


def test_grey_transparent_and_deep_images(classifier: NamedClassifier, tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 255, (30, 20, 4)).astype(np.uint8)
    PillowImage.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    PillowImage.fromarray(pixels).save(tmp_path / "clear.png")
    PillowImage.fromarray(pixels[..., 0].astype(np.uint16) * 200).save(tmp_path / "deep.png")
    found, failures = explain_images(
        sorted(tmp_path.glob("*.png")), classifier, ExplainOptions(), tmp_path / "out"
    )  # fmt: skip
    assert failures == []
    assert [each.name for each in found] == ["clear", "deep", "grey"]
    for each in found:
        assert read_image(tmp_path / "out" / each.files[0]).shape == (30, 20, 3)


def test_images_of_one_name_keep_their_files(classifier: NamedClassifier, tmp_path: Path) -> None:
    paths = [draw_image(tmp_path / folder / "img.png", seed) for seed, folder in enumerate("ab")]
    found, _ = explain_images(paths, classifier, ExplainOptions(), tmp_path / "out")
    assert len({file for each in found for file in each.files}) == 6


def test_background_has_pictures_but_no_map_file(image: Path, tmp_path: Path) -> None:
    model, _ = build_classifier("small_cnn", num_outputs=4, output_stride=8)
    named = NamedClassifier(model, ("cat", "dog", "fish", "background"), background=3)
    (found,), _ = explain_images([image], named, ExplainOptions(classes="background"), tmp_path)
    assert [Path(file).suffix for file in found.files] == [".png", ".png"]
    assert (tmp_path / "classes.txt").read_text().split() == ["cat", "dog", "fish"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ()}, "at least one CAM method"),
        ({"methods": ("grad_camm",)}, "Did you mean: grad_cam"),
        ({"preset": "irm"}, "Did you mean: irn"),
        ({"top": 0}, "top: expected at least 1"),
        ({"colour": "jett"}, "Unknown colour map 'jett'. Did you mean: jet"),
        ({"alpha": 2.0}, "alpha: expected a value in"),
        ({"classes": "catt"}, "Did you mean: cat"),
        ({"true": "9"}, "expected an output number in 0..3, but got 9"),
        ({"layers": ("net.nowhere",)}, "has no layer 'net.nowhere'"),
    ],
)
def test_bad_options_stop_before_anything_is_written(
    options: dict[str, object], message: str, classifier: NamedClassifier, image: Path, tmp_path: Path
) -> None:
    with pytest.raises((ConfigError, ModelError), match=message):
        explain_images([image], classifier, ExplainOptions(**options), tmp_path / "out")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_lists_of_files_and_folders(image: Path, tmp_path: Path) -> None:
    second = draw_image(tmp_path / "in" / "zoo.png")
    assert list_image_files([second, tmp_path / "in"]) == [second, image]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: expected images in this folder, but found none"):
        list_image_files([tmp_path / "empty"])


@pytest.mark.parametrize(
    ("model", "head", "methods", "pooling"),
    [
        ("resnet18", None, ("cam", "grad_cam"), True),
        ("densenet121", None, ("grad_cam",), True),
        ("vgg16", "pooled", ("cam", "layer_cam"), True),
        ("vgg16", None, ("grad_cam",), False),
        ("vit_b_16", None, ("grad_cam", "attention_rollout"), False),
        ("timm/vit_tiny_patch16_224", None, ("grad_cam",), False),
    ],
)
def test_every_kind_of_network(
    model: str, head: str | None, methods: tuple[str, ...], pooling: bool, image: Path, tmp_path: Path
) -> None:
    named = load_named_classifier(model=model, weights="none", head=head, side=48)
    options = ExplainOptions(methods=methods, pooling=pooling, classes="tabby, zebra", figure=True)
    (found,), failures = explain_images([image], named, options, tmp_path / "out")
    assert failures == []
    assert [each.output for each in found.explained] == [281, 340]
    columns = len(methods) + 2 * pooling
    assert len(found.files) == 2 * 2 * columns + 1 + columns
    maps = read_score_maps(tmp_path / "out" / "maps" / methods[-1] / "img.npz", "img")
    assert maps.class_ids == (1, 2)
    assert maps.scores.shape == (2, 40, 56)
    assert (tmp_path / "out" / "classes.txt").read_text().split() == ["tabby", "zebra"]


def test_pooling_needs_a_pooled_head(image: Path, tmp_path: Path) -> None:
    named = load_named_classifier(model="timm/vit_tiny_patch16_224", weights="none", side=32)
    with pytest.raises(ModelError, match="needs a classifier with a pooled head"):
        explain_images([image], named, ExplainOptions(pooling=True), tmp_path / "out")


def test_published_weights_see_the_zebra(real_data: Path, tmp_path: Path) -> None:
    named = load_named_classifier(
        model="mobilenet_v2", weights=str(real_data / "weights" / "mobilenet_v2_imagenet.pth")
    )  # fmt: skip
    image = real_data / "data" / "coco_mini" / "images" / "000000000034.jpg"
    (found,), _ = explain_images([image], named, ExplainOptions(preset="irn"), tmp_path)
    assert (found.top[0].name, found.top[0].output) == ("zebra", 340)
    scores = read_score_maps(tmp_path / "maps" / "grad_cam" / f"{found.name}.npz", found.name).scores[0]
    place = np.unravel_index(int(scores.argmax()), scores.shape)
    assert 100 < place[0] < 400  # the animal: rows 20 to 400, columns 0 to 440 of 425 x 640
    assert place[1] < 440
    assert scores[:, 500:].mean() < 0.2 * scores[:, :440].mean()
