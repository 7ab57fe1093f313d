"""What the evaluate stage computes beyond wsl.evaluate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.oracles.evaluate_decided import precision_by_pixel
from wsl.cam.preset import PRESETS
from wsl.cam.pyramid import MapPyramid
from wsl.cam.store import read_everything, write_pyramid
from wsl.data.label_maps import write_label_map
from wsl.data.rle import encode_mask
from wsl.evaluate.metrics import MetricSettings
from wsl.evaluate.metrics import case as case_module
from wsl.evaluate.result import Score
from wsl.evaluate.segmentation.boundary import BoundaryIoU
from wsl.evaluate.segmentation.confusion import Confusion
from wsl.evaluate.segmentation.scores import segmentation_score
from wsl.evaluate.thresholds import ThresholdRequest
from wsl.files import write_json
from wsl.pipeline.label_scorer import ImageLabelScorer
from wsl.pipeline.run_case import RunCase
from wsl.pipeline.scorers import InstanceScorer, MaskScorer, centre_box_like
from wsl.pipeline.work import StageFiles
from wsl.types import Box, ClassSet, Instance, MaskSource, Sample, ScoreMaps

CLASSES = ClassSet(("a", "b"))


def test_centre_box_has_the_seeds_area_and_their_largest_class() -> None:
    seeds = np.zeros((20, 20), np.uint8)
    seeds[:4, :4], seeds[10:16, 10:16], seeds[19] = 1, 2, 255
    box = centre_box_like(seeds)
    assert set(np.unique(box)) == {0, 2}
    assert abs(int((box == 2).sum()) - 52) <= 7
    rows, columns = np.nonzero(box == 2)
    assert rows.min() + rows.max() == pytest.approx(19, abs=1)
    assert columns.min() + columns.max() == pytest.approx(19, abs=1)
    assert not centre_box_like(np.full((5, 5), 255, np.uint8)).any()


def make_mask_case(tmp_path: Path, image_id: str) -> RunCase:
    """An image with stored truth, maps, seeds and refined map, all at random."""
    generator, files, size = np.random.default_rng(ord(image_id)), StageFiles(tmp_path), (16, 18)
    PIL.Image.new("RGB", (18, 16)).save(tmp_path / f"{image_id}.png")
    for path in (tmp_path / f"{image_id}_truth.png", files.seeds(image_id), files.refined(image_id)):
        write_label_map(path, generator.choice(np.array([0, 1, 2, 255], np.uint8), size))
    write_json(files.boxes(image_id), {"boxes": []})
    mask = MaskSource("label_map", tmp_path / f"{image_id}_truth.png")
    maps = ScoreMaps(image_id, generator.random((2, *size)).astype(np.float32), (1, 2), size)
    return RunCase(Sample(image_id, tmp_path / f"{image_id}.png", (1, 2), mask=mask), maps, None, (), files, 2).load()


def test_each_result_is_compared_with_the_truth_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case, count, calls = make_mask_case(tmp_path, "a"), case_module.count_pairs, []
    monkeypatch.setattr(case_module, "count_pairs", lambda *args: calls.append(args) or count(*args))
    for module in ("scored_pixels", "confusion", "image_counts"):
        monkeypatch.setattr(f"wsl.evaluate.segmentation.{module}.count_pairs", None)
    MaskScorer(MetricSettings(CLASSES)).update(case)
    assert len(calls) == 3  # centre box, seeds, refined


def test_scores_of_masks_are_those_of_the_simple_sums(tmp_path: Path) -> None:
    cases = [make_mask_case(tmp_path, image_id) for image_id in "abc"]
    scorer = MaskScorer(MetricSettings(CLASSES, requests=(ThresholdRequest("oracle"),)))
    boundary, policies = (
        BoundaryIoU(2),
        {"seeds": "background", "seeds, sure pixels": "exclude", "refined": "background"},
    )
    sums = {name: Confusion(2, policy) for name, policy in policies.items()}
    for case in cases:
        scorer.update(case)
        for name, each in sums.items():
            each.update(case.truth, case.refined if name == "refined" else case.seeds)
        boundary.update(case.truth, case.refined)
    scores, tables = {score.name: score.value for score in scorer.scores()}, scorer.tables()
    expected = {f"{name} mIoU": segmentation_score(each, CLASSES).value for name, each in sums.items()}
    expected["refined boundary mIoU"] = boundary.scores()[0].value
    for name in ("seeds", "refined"):
        maps = [(case.truth, case.refined if name == "refined" else case.seeds) for case in cases]
        expected[f"{name} precision"] = precision_by_pixel(maps, (0, 1, 2))
        expected[f"{name} precision foreground"] = precision_by_pixel(maps, (1, 2))
        scored = np.concatenate([predicted[truth != 255] for truth, predicted in maps])
        assert scores[f"{name} coverage"] == (scored != 255).mean()
    for name, value in expected.items():
        assert scores[name] == value
        assert tables[name].measure(np.ones((1, 3)))[0] == pytest.approx(value, abs=1e-12)


def score_regions(tmp_path: Path, min_area: float) -> dict[str, Score]:
    """One object, found as it is, behind three specks of its class."""
    files, truth, refined = StageFiles(tmp_path), np.zeros((12, 12), np.bool_), np.zeros((12, 12), np.uint8)
    truth[4:10, 4:10] = True
    refined[truth] = 1
    refined[0, [0, 2, 4]] = 1
    write_label_map(files.refined("a"), refined)
    boxes = [{"class_id": 1, "xyxy": [4, 4, 10, 10], "score": 0.5}]
    write_json(files.boxes("a"), {"boxes": boxes})
    instance = Instance(1, Box((4, 4, 10, 10), 1), segmentation=encode_mask(truth))
    maps = ScoreMaps("a", np.zeros((0, 12, 12), np.float32), (), (12, 12))
    scorer = InstanceScorer(CLASSES, min_area)
    scorer.update(RunCase(Sample("a", Path("x"), (1,), instances=(instance,)), maps, None, (), files, 2))
    return {score.name: score for score in scorer.scores()}


def test_specks_are_no_results_of_mask_ap(tmp_path: Path) -> None:
    with_specks, without = (score_regions(tmp_path, least) for least in (0, 0.01))
    assert without["mask AP"].value == 1.0
    assert with_specks["mask AP"].value < 0.5
    assert "at least 0.01 of the image" in without["mask AP"].conventions["result"]
    assert "any size" in with_specks["mask AP"].conventions["result"]


def score_labels(tmp_path: Path, single: bool, rows: list[tuple[tuple[int, ...], list[float]]]) -> float | None:
    files, scorer = StageFiles(tmp_path), ImageLabelScorer(CLASSES, single)
    parts = []
    for index, (labels, probabilities) in enumerate(rows):
        level = np.ones((0, 2, 2), np.float32)
        pyramid = MapPyramid(str(index), (level,), (), (4, 4), np.array(probabilities, np.float32), (1, 2))
        write_pyramid(files.maps(str(index)), pyramid, PRESETS["irn"])
        sample = Sample(str(index), Path("x"), labels)
        maps = read_everything(files.maps(str(index)), str(index))
        parts.append(ImageLabelScorer(CLASSES, single))
        parts[-1].update(RunCase(sample, *maps, files, len(CLASSES)))
    for part in parts:
        scorer.merge(part)
    return scorer.scores()[0].value


def test_accuracy_counts_the_background_output(tmp_path: Path) -> None:
    rows = [((1,), [0.8, 0.1]), ((2,), [0.6, 0.3]), ((), [0.2, 0.1]), ((), [0.9, 0.05])]
    assert score_labels(tmp_path, True, rows) == 0.5


def test_map_of_several_labels(tmp_path: Path) -> None:
    rows = [((1,), [0.9, 0.1]), ((1, 2), [0.8, 0.7]), ((2,), [0.1, 0.3]), ((), [0.85, 0.4])]
    # class 1: ranks 0.9 (yes), 0.85 (no), 0.8 (yes): (1 + 2/3) / 2; class 2: 0.7 (yes), 0.4 (no), 0.3 (yes)
    assert score_labels(tmp_path, False, rows) == pytest.approx((1 + 2 / 3) / 2)
