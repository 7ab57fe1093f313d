"""Evidence of an image from the files of a run, and its confidence on disk."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from wsl.cam.preset import PRESETS
from wsl.cam.pyramid import MapPyramid, fuse
from wsl.cam.store import write_pyramid
from wsl.data.label_maps import write_label_map
from wsl.errors import DataError
from wsl.pipeline.confidence import ConfidenceWork, confidence_path, mean_signals, read_confidence
from wsl.pipeline.work import StageFiles
from wsl.quality.confidence import Judgement, judge_image
from wsl.quality.signals import Signals
from wsl.types import Sample

SIZE = (20, 30)
SAMPLE = Sample("a/b", Path("a/b.jpg"), (1, 3, 4))


def make_label_map() -> np.ndarray:
    label_map = np.zeros(SIZE, np.uint8)
    label_map[2:9, 3:12], label_map[12:, 20:], label_map[0, 29] = 1, 3, 1
    return label_map


@pytest.fixture
def work(tmp_path: Path) -> ConfidenceWork:
    """Two layers of two scales each, classes 1 and 3."""
    files, rng = StageFiles(tmp_path), np.random.default_rng(0)
    levels = tuple(rng.random((2, *size)).astype(np.float32) for size in ((3, 4), (6, 8), (5, 6), (7, 9)))
    agreement = np.array([[0.2, 0.4], [0.4, 0.8], [0.3, np.nan], [0.3, np.nan]], np.float32)
    pyramid = MapPyramid("a/b", levels, (1, 3), SIZE, np.array([0.7, 0.2], np.float32), (1, 3), 2, agreement)
    write_pyramid(files.maps("a/b"), pyramid, PRESETS["irn"])
    write_label_map(files.refined("a/b"), make_label_map())
    return ConfidenceWork(files, "constant", 0.3)


def test_evidence_is_what_the_files_hold(work: ConfidenceWork) -> None:
    found = work.read_evidence(SAMPLE)
    assert (found.image_id, found.class_ids, found.background.shape) == ("a/b", (1, 3), SIZE)
    assert [[level.shape for level in layer] for layer in found.levels] == [
        [(2, 3, 4), (2, 6, 8)],
        [(2, 5, 6), (2, 7, 9)],
    ]
    np.testing.assert_allclose(found.flip_agreement, [0.3, 0.6], rtol=1e-6)
    np.testing.assert_allclose(found.probabilities, [0.7, 0.2], rtol=1e-6)
    np.testing.assert_array_equal(found.label_map, make_label_map())
    assert set(np.unique(found.background)) == {np.float32(0.3)}


def test_what_is_stored_is_what_was_judged(work: ConfidenceWork) -> None:
    work(SAMPLE)
    found, judged = read_confidence(work.files, "a/b"), judge_image(work.read_evidence(SAMPLE), SAMPLE.class_ids)
    assert found.image_id == "a/b"
    assert found.confidence == pytest.approx(judged.confidence, abs=1e-6)
    for one, other in zip(found.classes, judged.classes, strict=True):
        assert (one.class_id, one.confidence) == (other.class_id, pytest.approx(other.confidence, abs=1e-6))
        assert asdict(one.signals) == pytest.approx(asdict(other.signals), abs=1e-6, nan_ok=True)
    assert [row[:2] for row in found.regions] == [(1, 1), (1, 63), (3, 80)]
    assert [row[2] for row in found.regions] == pytest.approx([each.confidence for each in judged.regions], abs=1e-6)
    before = confidence_path(work.files, "a/b").read_bytes()
    work(SAMPLE)
    assert confidence_path(work.files, "a/b").read_bytes() == before


@pytest.mark.parametrize(("min_area", "areas"), [(0, [1, 63, 80]), (2, [63, 80]), (0.12, [80]), (0.5, [])])
def test_small_regions_are_not_judged_one_by_one(work: ConfidenceWork, min_area: float, areas: list[int]) -> None:
    replace(work, min_area=min_area)(SAMPLE)
    found = read_confidence(work.files, "a/b")
    assert [area for _, area, _ in found.regions] == areas
    judged = judge_image(work.read_evidence(SAMPLE), SAMPLE.class_ids)
    assert found.confidence == pytest.approx(judged.confidence, abs=1e-6)  # the classes keep their specks


def test_maps_from_elsewhere_have_fewer_signals(work: ConfidenceWork) -> None:
    maps = fuse(MapPyramid("a/b", (np.ones((1, 2, 3), np.float32),), (1,), SIZE), PRESETS["irn"])
    np.savez(work.files.maps("a/b"), scores=maps.scores, class_ids=np.array([1]))
    found = judge_image(work.read_evidence(SAMPLE), (1,)).classes[0]
    assert np.isnan([found.signals.scale_agreement, found.signals.flip_agreement, found.signals.probability]).all()
    assert 0 < found.confidence < 1


def test_a_label_map_of_another_size_is_refused(work: ConfidenceWork) -> None:
    write_label_map(work.files.refined("a/b"), np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match="a/b: scores is 20x30 but label map is 4x4"):
        work(SAMPLE)
    assert not confidence_path(work.files, "a/b").exists()


def test_means_leave_out_what_is_not_known() -> None:
    rows = [Judgement(1, 0.5, Signals(score=0.2, area=0.1)), Judgement(2, 0.5, Signals(area=0.3))]
    found = mean_signals(rows)
    assert (found.score, found.area) == (0.2, pytest.approx(0.2))
    assert np.isnan(found.margin)
    assert np.isnan(mean_signals([]).area)
