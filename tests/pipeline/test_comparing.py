"""`wsl compare` on drawn data: its numbers against the same measures made by hand, resuming, reasons."""

from __future__ import annotations

import dataclasses
import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.drawn import QUICK, draw_voc, to_folders
from wsl.cam.engine import compute_pyramids
from wsl.cam.options import CamOptions
from wsl.cam.preset import get_preset
from wsl.cam.pyramid import MapPyramid, fuse
from wsl.cli.main import main
from wsl.config import load_config
from wsl.data.ground_truth import read_ground_truth
from wsl.data.images import read_image
from wsl.errors import ConfigError, DataError
from wsl.evaluate.faithfulness.pointing import compute_energy
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.evaluate.segmentation.sweep import BackgroundSweep
from wsl.pipeline.classifiers import load_ready_classifier
from wsl.pipeline.comparing import CompareSettings, compare_methods
from wsl.pipeline.comparison_cases import Case, choose_samples, find_true_boxes
from wsl.pipeline.comparison_method import MapMaker, MethodRun
from wsl.pipeline.comparison_scorers import PointingScorer, RefinedScorer, calibrate, to_square
from wsl.pipeline.context import Context
from wsl.pipeline.run_folder import RunFolder
from wsl.pipeline.stages import BEST
from wsl.types import Sample, ScoreMaps

THREE = ("methods=[cam,score_cam,legrad]", "options.score_cam.channels=4")


def run(root: Path, output: Path, *extra: str, methods: tuple[str, ...] = THREE, quick: list[str] = QUICK) -> int:
    own = [*methods, "images=4", "randomised_images=2", "tolerance=3"]
    return main(["compare", "--quiet", *quick, f"data.root={root}", f"output={output}", *own, *extra])


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_voc(tmp_path_factory.mktemp("voc"), train=10, val=4)


@pytest.fixture(scope="module")
def done(voc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a comparison."""
    output = tmp_path_factory.mktemp("runs") / "run"
    assert run(voc, output) == 0
    return output


def read_record(output: Path, method: str) -> dict:
    return json.loads((output / "compare" / f"{method}.json").read_text())


def read_values(output: Path, method: str) -> dict[str, float | None]:
    return {score["name"]: score["value"] for score in read_record(output, method)["scores"]}


def test_every_column_is_measured(done: Path) -> None:
    header = (done / "compare" / "compare.csv").read_text().splitlines()[0]
    for name in ("ms per image", "MaxBoxAccV2", "CorLoc", "CAM mIoU", "refined mIoU", "average drop", "insertion"):
        assert name in header
    for name in ("deletion", "ROAD", "pointing", "energy", "rank correlation, head", "SSIM, network"):
        assert name in header
    values = read_values(done, "score_cam")
    assert all(-1 <= value <= 1 for value in values.values() if value is not None)
    assert read_record(done, "cam")["milliseconds"] > 0


def test_a_method_that_does_not_fit_has_its_reason(done: Path) -> None:
    record = read_record(done, "legrad")
    assert record["scores"] == []
    assert "small_cnn" in record["reason"]
    assert "- `legrad`: " in (done / "compare" / "compare.md").read_text()


def test_options_that_were_used_are_shown(done: Path) -> None:
    assert read_record(done, "score_cam")["options"] == {"channels": 4}
    assert "| score_cam | channels=4 |" in (done / "compare" / "compare.md").read_text()


def test_numbers_equal_the_measures_made_by_hand(done: Path, voc: Path) -> None:
    config = load_config(None, [*QUICK, f"data.root={voc}", f"output={done}"])
    context = Context(config, RunFolder(done))
    ready = load_ready_classifier(config.model, context.classes, done / BEST)
    options = CamOptions(method="cam", scales=(1.0, 1.5), label_mode=ready.label_mode)
    options = dataclasses.replace(options, flip=False)
    sweep, boxes, energies = BackgroundSweep(3, np.arange(100) / 100), MaxBoxAcc(), {}
    samples = choose_samples(context.samples, [1, 2, 3], 4)
    for sample in samples:
        image = read_image(sample.image_path)
        (pyramid,) = compute_pyramids(
            ready.model, [image], ["x"], [sample.class_ids], ready.groups, options, torch.device("cpu")
        )
        maps = fuse(pyramid, get_preset(config.cam.preset))
        truth = read_ground_truth(sample, image.shape[:2], 3)
        sweep.update(maps.scores, maps.class_ids, truth)
        for class_id, score_map in zip(maps.class_ids, maps.scores, strict=True):
            boxes.update(score_map, [box for box in sample.boxes if box.class_id == class_id])
            found = compute_energy(score_map, truth == class_id, truth == 255)
            energies.setdefault(class_id, []).append(found)
    values = read_values(done, "cam")
    assert values["CAM mIoU"] == pytest.approx(sweep.best().value, abs=2e-3)
    expected = {score.name: score.value for score in boxes.scores()}
    assert values["MaxBoxAccV2"] == pytest.approx(expected["MaxBoxAccV2"])
    assert values["energy"] == pytest.approx(np.mean([np.mean(each) for each in energies.values()]), abs=1e-4)


def test_one_scale_unless_scales_are_given_by_hand(done: Path, voc: Path, tmp_path: Path) -> None:
    assert "scales 1.0, 1.5, no flip" in (done / "compare" / "compare.md").read_text()
    shutil.copytree(done, tmp_path / "run")
    quick = [each for each in QUICK if not each.startswith("cam.scales")]
    assert run(voc, tmp_path / "run", methods=("methods=[cam]",), quick=quick) == 0
    assert "one scale, no flip" in (tmp_path / "run" / "compare" / "compare.md").read_text()


def test_what_is_done_is_not_done_again(done: Path, voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def note(self: MethodRun) -> tuple[float, list]:
        measured.append(self.maker.options.method)
        raise ConfigError("does not fit")

    shutil.copytree(done, tmp_path / "run")
    monkeypatch.setattr(MethodRun, "measure", note)
    assert run(voc, tmp_path / "run") == 0
    assert measured == ["legrad"]  # one without values is tried again
    before, after = (
        (folder / "compare" / "compare.csv").read_text().splitlines() for folder in (done, tmp_path / "run")
    )
    assert after[:3] == before[:3]
    assert after[3].endswith("does not fit")


def test_raw_maps_are_not_kept_in_memory(
    done: Path, voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[MapPyramid]] = []
    alive: list[int] = []
    make = MapMaker.make_pyramid

    def count(self: MapMaker, *arguments: Any) -> MapPyramid:
        pyramid = make(self, *arguments)
        made.append(weakref.ref(pyramid))
        alive.append(sum(each() is not None for each in made))
        return pyramid

    monkeypatch.setattr(MapMaker, "make_pyramid", count)
    left = tmp_path / "run" / "compare" / ".maps" / "old.npz"  # by a process that was killed
    left.parent.mkdir(parents=True)
    left.write_bytes(b"")
    shutil.copytree(done, tmp_path / "run", dirs_exist_ok=True)
    (tmp_path / "run" / "compare" / "cam.json").unlink()
    assert run(voc, tmp_path / "run") == 0
    assert len(alive) > 4
    assert max(alive) <= 2  # the new one, and the one before until the name is free
    assert not left.parent.exists()
    assert read_values(tmp_path / "run", "cam") == read_values(done, "cam")


def test_refined_labels_are_those_of_the_maps_in_memory(
    done: Path, voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit: what the second pass reads is what the first one saw."""
    first: dict[str, ScoreMaps] = {}
    equal: list[bool] = []

    class Noting(RefinedScorer):
        def update(self, case: Case, maps: ScoreMaps) -> None:
            before = first[case.sample.image_id]
            equal.append(np.array_equal(before.scores, maps.scores) and before.class_ids == maps.class_ids)
            super().update(case, maps)

    update = PointingScorer.update
    monkeypatch.setattr("wsl.pipeline.comparison_method.RefinedScorer", Noting)
    monkeypatch.setattr(
        PointingScorer,
        "update",
        lambda self, case, maps: (first.update({case.sample.image_id: maps}), update(self, case, maps))[1],
    )
    shutil.copytree(done, tmp_path / "run")
    for name in ("cam", "score_cam"):
        (tmp_path / "run" / "compare" / f"{name}.json").unlink()
    assert run(voc, tmp_path / "run") == 0
    assert equal == [True] * 8


def test_every_method_tells_its_trouble_anew(
    done: Path, voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("wsl.pipeline.comparing.forget_warnings", lambda: told.append("forgotten"))
    monkeypatch.setattr(MethodRun, "measure", lambda self: (told.append(self.maker.options.method), (1.0, []))[1])
    shutil.copytree(done, tmp_path / "run")
    assert run(voc, tmp_path / "run", methods=("methods=[grad_cam,layer_cam]",)) == 0
    assert told == ["forgotten", "grad_cam", "forgotten", "layer_cam"]


def test_other_settings_are_measured_anew(done: Path, voc: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "run")
    before = read_record(tmp_path / "run", "score_cam"), read_record(tmp_path / "run", "cam")
    assert run(voc, tmp_path / "run", "options.score_cam.channels=2") == 0
    assert read_record(tmp_path / "run", "score_cam")["fingerprint"] != before[0]["fingerprint"]
    assert read_record(tmp_path / "run", "cam") == before[1]


def test_a_method_that_breaks_does_not_stop_the_others(
    done: Path, voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: MethodRun) -> tuple[float, list]:
        raise RuntimeError("out of memory")

    shutil.copytree(done, tmp_path / "run")
    monkeypatch.setattr(MethodRun, "measure", fail)
    assert run(voc, tmp_path / "run", "images=3") == 4
    assert read_record(tmp_path / "run", "cam")["reason"] == "RuntimeError: out of memory"


def test_without_ground_truth_its_columns_are_left_out(voc: Path, tmp_path: Path) -> None:
    root = to_folders(voc, tmp_path / "folders")
    shutil.rmtree(root / "masks")
    folders = sorted(path.name for path in (root / "images").iterdir())
    background = ["data.background_class=free"] if "free" in folders else []
    assert run(root, tmp_path / "run", *background, methods=("methods=[cam]",)) == 0
    header = (tmp_path / "run" / "compare" / "compare.csv").read_text().splitlines()[0].split(",")
    assert {"average drop", "ROAD"} <= set(header)
    text = (tmp_path / "run" / "compare" / "compare.md").read_text()
    assert "Faithfulness" in text
    assert "MaxBoxAccV2" not in text
    assert not {"MaxBoxAccV2", "CorLoc", "CAM mIoU", "refined mIoU", "pointing", "energy", "threshold"} & set(header)


def test_boxes_of_masks_are_those_of_their_regions() -> None:
    truth = np.zeros((6, 8), np.uint8)
    truth[0:2, 0:3] = 2
    truth[4:6, 5:8] = 2
    truth[3, 0] = 1
    truth[5, 0] = 255
    boxes = find_true_boxes(Sample("a", Path("a.png")), truth)
    assert [(box.class_id, box.xyxy) for box in boxes] == [
        (1, (0, 3, 1, 4)),
        (2, (0, 0, 3, 2)),
        (2, (5, 4, 8, 6)),
    ]
    assert find_true_boxes(Sample("a", Path("a.png")), None) is None


def test_samples_are_spread_over_those_with_known_classes() -> None:
    labels = [(1,), (), None, (2,), (3,), (1, 3), (2, 3)]
    samples = [Sample(str(index), Path("x"), ids) for index, ids in enumerate(labels)]
    assert [sample.image_id for sample in choose_samples(samples, [1, 2], 9)] == ["0", "3", "5", "6"]
    assert [sample.image_id for sample in choose_samples(samples, [1, 2], 2)] == ["0", "5"]
    with pytest.raises(DataError, match="expected images with a class that the classifier knows"):
        choose_samples(samples, [4], 2)


def test_calibration_puts_the_threshold_where_the_background_is() -> None:
    scores = np.array([[[0, 0.4, 0.8, 0.9, 1]]], np.float32)
    np.testing.assert_allclose(calibrate(scores, 0.8, 0.5)[0, 0], [0, 0.25, 0.5, 0.75, 1], atol=1e-6)
    np.testing.assert_allclose(calibrate(scores, 0.8, 0.8), scores, atol=1e-6)
    np.testing.assert_allclose(calibrate(scores, 0.0, 0.5)[0, 0], [0, 0.7, 0.9, 0.95, 1], atol=1e-6)
    np.testing.assert_allclose(calibrate(scores, 1.0, 0.5)[0, 0], [0, 0.2, 0.4, 0.45, 0.5], atol=1e-6)


@pytest.mark.parametrize("threshold", [0.0, 0.13, 0.5, 0.97, 1.0])
def test_calibration_keeps_what_is_foreground(threshold: float) -> None:
    scores = np.random.default_rng(0).random((2, 9, 9), np.float32)
    found = calibrate(scores, threshold, 0.35)
    np.testing.assert_array_equal(found > np.float32(0.35), scores > np.float32(threshold))
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("size", [(10, 12), (5, 20), (3, 3)])
def test_square_maps_stay_in_range(size: tuple[int, int]) -> None:
    score_map = np.random.default_rng(0).random(size).astype(np.float32)
    square = to_square(score_map, 8)
    assert square.shape == (8, 8)
    assert square.dtype == np.float32
    assert 0 <= square.min() <= square.max() <= 1
    np.testing.assert_allclose(to_square(np.full(size, 0.25, np.float32), 8), 0.25, rtol=1e-6)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["methods=[camm]"], ["camm", "cam"]),
        (["images=0"], ["images", "at least 1"]),
        (["images=many"], ["images: expected a number", "many"]),
        (["tolerance=-1"], ["tolerance", "-1"]),
        (["options.grad_cam.channels=4"], ["options.grad_cam", "not compared"]),
        (["options.score_cam.channel=4"], ["channel", "Did you mean: channels"]),
        (["options=3"], ["options.METHOD.NAME=VALUE"]),
        (["cam.source=maps"], ["cam.source"]),
        (["cam.scale=[1.0]"], ["scale", "scales"]),
    ],
)
def test_bad_settings_are_refused(
    extra: list[str], words: list[str], voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(voc, tmp_path / "run", "methods=[cam,score_cam]", *extra, methods=()) == 2
    message = capsys.readouterr().err
    assert len(message.strip().splitlines()) <= 3
    for word in words:
        assert word in message


def test_cheaper_options_are_those_of_the_settings_unless_the_user_says_otherwise() -> None:
    settings = CompareSettings(methods=("score_cam", "cam"), options={"score_cam": {"channels": None}})
    assert settings.names == ("cam", "score_cam")
    assert settings.method_options("cam") == {}
    assert settings.method_options("score_cam") == {"channels": None}
    assert CompareSettings(methods=("score_cam",)).method_options("score_cam") == {"channels": 64}


def test_images_that_cannot_be_read_are_told(voc: Path, done: Path, tmp_path: Path) -> None:
    shutil.copytree(voc, tmp_path / "voc")
    shutil.copytree(done, tmp_path / "run")
    config = load_config(None, [*QUICK, f"data.root={tmp_path / 'voc'}", f"output={tmp_path / 'run'}"])
    context = Context(config, RunFolder(tmp_path / "run"))
    broken = choose_samples(context.samples, [1, 2, 3], 4)[1]
    content = broken.image_path.read_bytes()
    broken.image_path.write_bytes(content[:200] + bytes(len(content) - 200))  # the same size, so training stays done
    found = compare_methods(context, CompareSettings(methods=("cam",), images=4, randomised_images=1))
    assert [failure.image_id for failure in found.failures] == [broken.image_id]
    assert found.caption[0].startswith("3 images of voc")


def test_source_of_maps_is_refused_for_compare(voc: Path, tmp_path: Path) -> None:
    config = load_config(None, [*QUICK, f"data.root={voc}", f"output={tmp_path / 'run'}", "cam.source=maps"])
    with pytest.raises(ConfigError, match="makes its own maps"):
        compare_methods(Context(config, RunFolder(tmp_path / "run")), CompareSettings(methods=("cam",)))
