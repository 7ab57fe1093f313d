from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsl.data.label_maps import read_label_map, write_label_map
from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.resampling import Resampling
from wsl.evaluate.certainty.table_files import read_tables
from wsl.evaluate.files.label_map_folders import evaluate_label_maps
from wsl.evaluate.files.options import EvaluateOptions, add_intervals, write_evaluation
from wsl.evaluate.result import Score, read_about, read_scores
from wsl.evaluate.segmentation.confusion import Confusion
from wsl.evaluate.segmentation.scores import segmentation_scores
from wsl.types import ClassSet

CLASSES = ClassSet(("cat", "dog", "cow"))


def write_maps(folder: Path, seed: int, names: tuple[str, ...] = ("a", "b/c")) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    maps = {name: generator.choice(np.array([0, 1, 2, 3, 255], np.uint8), (6, 7)) for name in names}
    for name, label_map in maps.items():
        write_label_map(folder / f"{name}.png", label_map)
    return maps


def score_folders(root: Path, **options: Any) -> list[Score]:
    """Scores of root/pred against root/gt, mIoU and its company only."""
    return evaluate_label_maps(root / "pred", root / "gt", EvaluateOptions(metrics=("miou",), **options)).scores


@pytest.mark.parametrize("classes", [CLASSES, None])
def test_folders_give_the_scores_of_their_arrays(tmp_path: Path, classes: ClassSet | None) -> None:
    truth, predicted = write_maps(tmp_path / "gt", 0), write_maps(tmp_path / "pred", 1)
    confusion = Confusion(3, "exclude")
    for name in truth:
        confusion.update(truth[name], predicted[name])
    expected = segmentation_scores(confusion, CLASSES, "zero")
    scores = score_folders(tmp_path, classes=classes, predicted_ignore="exclude", absent="zero")
    assert [(score.name, score.value) for score in scores] == [(score.name, score.value) for score in expected]
    assert list(scores[0].per_class)[1] == ("cat" if classes else "class 1")
    assert scores[0].counts["images"] == 2


def test_a_missing_prediction_as_background(tmp_path: Path) -> None:
    truth, predicted = write_maps(tmp_path / "gt", 0), write_maps(tmp_path / "pred", 1, ("a", "z"))
    confusion = Confusion(3)
    confusion.update(truth["a"], predicted["a"])
    confusion.update(truth["b/c"], np.zeros((6, 7), np.uint8))
    scores = score_folders(tmp_path, classes=CLASSES, missing="background")
    assert scores[0].value == segmentation_scores(confusion, CLASSES)[0].value
    assert scores[0].counts["images without prediction"] == 1
    assert scores[0].counts["predictions without ground truth"] == 1
    assert score_folders(tmp_path, classes=CLASSES, missing="skip")[0].counts["images"] == 1
    with pytest.raises(DataError, match=r"no prediction for 1 of 2 images \(b/c\)"):
        score_folders(tmp_path, classes=CLASSES)


def test_errors_name_the_image(tmp_path: Path) -> None:
    write_maps(tmp_path / "gt", 0)
    write_maps(tmp_path / "pred", 0)
    write_label_map(tmp_path / "pred" / "b" / "c.png", np.full((6, 7), 9, np.uint8))
    with pytest.raises(DataError, match=r"b/c: prediction: expected values 0\.\.3 and 255, but found 9"):
        score_folders(tmp_path, classes=CLASSES)
    write_label_map(tmp_path / "pred" / "b" / "c.png", np.zeros((7, 6), np.uint8))
    with pytest.raises(DataError, match="b/c: prediction is 7x6"):
        score_folders(tmp_path)


def test_every_metric_in_one_or_several_processes_is_the_same(tmp_path: Path) -> None:
    names = tuple(f"i{index:03d}" for index in range(300))
    write_maps(tmp_path / "gt", 0, names)
    write_maps(tmp_path / "pred", 1, names)
    options = EvaluateOptions(metrics=("all",), intervals=20)
    one, two = (
        evaluate_label_maps(tmp_path / "pred", tmp_path / "gt", replace(options, workers=workers)) for workers in (1, 2)
    )
    assert one.scores == two.scores
    assert {score.protocol for score in one.scores} >= {"segmentation: one confusion matrix over all images"}
    assert len(one.scores) > 10
    for name, table in one.tables.items():
        for key, array in table.arrays().items():
            np.testing.assert_array_equal(array, two.tables[name].arrays()[key])


def test_tables_give_the_score_and_its_interval(tmp_path: Path) -> None:
    names = tuple("abcdefgh")
    write_maps(tmp_path / "gt", 0, names)
    write_maps(tmp_path / "pred", 1, names)
    evaluation = evaluate_label_maps(tmp_path / "pred", tmp_path / "gt", EvaluateOptions(classes=CLASSES))
    mean = evaluation.scores[0]
    assert evaluation.tables["mIoU"].measure(np.ones((1, 8)))[0] == pytest.approx(mean.value, abs=1e-12)
    shown = add_intervals(evaluation, Resampling(200))
    assert shown.scores[0].interval["low"] < mean.value < shown.scores[0].interval["high"]
    assert shown.scores == add_intervals(evaluation, Resampling(200)).scores
    assert add_intervals(evaluation, None) is evaluation
    cat = shown.scores[0].per_class["cat"]
    assert cat["low"] < cat["iou"] < cat["high"]
    write_evaluation(tmp_path / "out", shown)
    assert read_scores(tmp_path / "out") == shown.scores
    assert read_about(tmp_path / "out")["versions"]["wsl"]
    assert read_tables(tmp_path / "out")["mIoU"].measure(np.ones((1, 8)))[0] == pytest.approx(mean.value)


def test_metrics_are_chosen_by_name(tmp_path: Path) -> None:
    write_maps(tmp_path / "gt", 0)
    write_maps(tmp_path / "pred", 1)
    folders = tmp_path / "pred", tmp_path / "gt"
    default = evaluate_label_maps(*folders).scores
    assert [score.name for score in default][:5] == [
        *("mIoU", "mIoU foreground", "pixel accuracy", "coverage", "boundary mIoU")
    ]
    (single,) = evaluate_label_maps(*folders, EvaluateOptions(metrics=("image_miou",))).scores
    assert single.name == "mIoU per image"
    with pytest.raises(ConfigError, match=r"'imgae_miou' is none for label maps\. Did you mean: image_miou"):
        evaluate_label_maps(*folders, EvaluateOptions(metrics=("imgae_miou",)))
    with pytest.raises(ConfigError, match="'max_box_acc' is none for label maps"):
        evaluate_label_maps(*folders, EvaluateOptions(metrics=("max_box_acc",)))


def test_voc_masks_against_themselves(real_data: Path, tmp_path: Path) -> None:
    paths = sorted((real_data / "data" / "voc12_masks").glob("*.png"))[:12]
    for path in paths:
        for folder in ("gt", "pred"):
            write_label_map(tmp_path / folder / path.name, read_label_map(path))
    scores = score_folders(tmp_path)
    assert scores[0].value == 1.0
    assert scores[0].counts["pixels without ground truth"] > 0


def test_binary_masks_are_no_label_maps(tmp_path: Path) -> None:
    write_maps(tmp_path / "gt", 0)
    for name in ("a", "b/c"):
        write_label_map(tmp_path / "pred" / f"{name}.png", np.array([[0, 255] * 3 + [0]] * 6, np.uint8))
    with pytest.raises(DataError, match=r"pred: the predictions: expected label maps .* found only 0 and 255"):
        score_folders(tmp_path, classes=CLASSES)
    with pytest.raises(DataError, match="the ground truth: expected label maps"):
        evaluate_label_maps(tmp_path / "gt", tmp_path / "pred", EvaluateOptions(classes=CLASSES))


@pytest.mark.parametrize("option", [{"intervals": -1}, {"workers": -3}, {"intervals": 9, "level": 1.5}])
def test_numbers_that_make_no_sense_are_refused_at_once(option: dict) -> None:
    with pytest.raises(ConfigError, match="expected a"):
        EvaluateOptions(**option)
