"""The search end to end on made maps: it finds what is better, goes on where it was, and looks at no test truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.made_run import make_run
from wsl.data.ground_truth import read_ground_truth
from wsl.errors import ConfigError
from wsl.evaluate.segmentation.confusion import Confusion, compute_iou
from wsl.pipeline.auditing import open_run
from wsl.pipeline.context import Context
from wsl.pipeline.tuning import images as tuning_images
from wsl.pipeline.tuning import trying
from wsl.pipeline.tuning.choosing_images import choose_images, is_test_split
from wsl.pipeline.tuning.halving import list_rungs, run_halving
from wsl.pipeline.tuning.trials import FILE, Outcome
from wsl.pipeline.tuning.tuning import TuneRequest, Tuning, tune_run
from wsl.seeds.labels import label_from_scores

CUTS = {"methods": ("none",), "searches": ("refine.background=0.1,0.2,0.3,0.4,0.5,0.6,0.7",)}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return open_run(make_run(tmp_path_factory.mktemp("made")))


def search(context: Context, folder: Path, **asked: object) -> Tuning:
    return tune_run(context, TuneRequest(**{**CUTS, **asked}), folder)  # type: ignore[arg-type]


def compute_miou(context: Context, background: float) -> float:
    """Image by image, as the stages would."""
    total = Confusion(2)
    for sample in context.samples:
        maps = trying.ImageReader(_files(context), 2, False, True).read(sample)
        labels = label_from_scores(maps.maps.scores, maps.maps.class_ids, "constant", background)
        total.update(read_ground_truth(sample, maps.maps.size, 2), labels)
    return float(np.nanmean(compute_iou(total.matrix)))


def _files(context: Context) -> object:
    from wsl.pipeline.work import StageFiles

    return StageFiles(context.run.path)


def test_cuts_are_scored_exactly(context: Context, tmp_path: Path) -> None:
    found = search(context, tmp_path, objective="miou")
    values = {outcome.settings.get("refine.background", 0.8): outcome.value for outcome in found.ranked}
    for background in (0.1, 0.5, 0.8):
        assert values[background] == pytest.approx(compute_miou(context, background), abs=1e-12)
    assert found.best.value == max(values.values())
    assert found.gain is not None
    assert found.gain > 0.05
    assert found.chosen.provenance == "oracle"
    assert any("flattered" in note for note in found.chosen.notes)


def test_sweep_and_single_trials_agree(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = search(context, tmp_path / "a", objective="miou")
    monkeypatch.setattr(trying.TrialWork, "can_sweep", lambda self, trials: False)
    single = search(context, tmp_path / "b", objective="miou")
    assert [each.settings for each in swept.ranked] == [each.settings for each in single.ranked]
    assert [each.value for each in swept.ranked] == pytest.approx([each.value for each in single.ranked], abs=1e-12)


def test_label_free_search_opens_no_truth(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("truth was opened")

    monkeypatch.setattr("wsl.pipeline.run_case.read_ground_truth", refuse)
    found = search(context, tmp_path)
    assert found.objective == "consensus"
    assert found.chosen.provenance == "label_free"
    assert all(sample.mask is None and sample.instances is None for sample in found.chosen.samples)
    assert found.best.settings != {}  # 0.8 is far too high
    assert found.threshold is not None
    with pytest.raises(AssertionError):
        search(context, tmp_path / "truth", objective="boundary_miou")


def test_search_goes_on_after_a_kill(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search(context, tmp_path / "whole")
    path = tmp_path / "cut" / FILE
    path.parent.mkdir()
    lines = (tmp_path / "whole" / FILE).read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:20])  # killed while it wrote
    (path.parent / "base.yaml").write_text("")
    done: list[dict] = []
    call = trying.TrialWork.__call__

    def note(self: trying.TrialWork, job: tuple[dict, int]) -> Outcome:
        done.append(job[0])
        return call(self, job)

    monkeypatch.setattr(trying.TrialWork, "__call__", note)
    again = search(context, tmp_path / "cut")
    assert len(done) == len(lines) - 4
    assert [(each.settings, each.value) for each in again.ranked] == [(e.settings, e.value) for e in whole.ranked]
    assert search(context, tmp_path / "cut").best == again.best
    assert len(done) == len(lines) - 4
    assert len(path.read_bytes().splitlines()) == len(lines)


def test_another_search_is_refused_and_more_trials_are_not(context: Context, tmp_path: Path) -> None:
    search(context, tmp_path, trials=3)
    assert len(search(context, tmp_path, trials=5).ranked) > 0
    with pytest.raises(ConfigError, match=r"other (objective|split|seed|space|images)"):
        search(context, tmp_path, searches=("refine.background=0.1,0.9",))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("")
    with pytest.raises(ConfigError, match="other files"):
        search(context, tmp_path / "mine")


def test_bad_trials_do_not_end_a_search(context: Context, tmp_path: Path) -> None:
    found = search(context, tmp_path, searches=("seeds.foreground=0.01,0.5", "refine.background=0.3,0.4"))
    assert {outcome.value is None for outcome in found.every} == {True, False}
    assert any("swap" in failure.message for failure in found.failures)
    assert found.best.value is not None


def test_typing_errors_are_told_before_the_search(context: Context, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pamr"):
        search(context, tmp_path, methods=("pamrr",), searches=())
    with pytest.raises(ConfigError, match="boundary_miou"):
        search(context, tmp_path, objective="boundary_mio")
    for name in ("trials", "images"):
        with pytest.raises(ConfigError, match=name):
            TuneRequest(**{name: 0})
    assert not (tmp_path / FILE).exists()


def test_boxes_are_tuned(context: Context, tmp_path: Path) -> None:
    asked = ("boxes.threshold=0.05,0.3,0.5,0.95",)
    found = search(context, tmp_path, methods=(), objective="max_box_acc", searches=asked)
    by_threshold = {outcome.settings.get("boxes.threshold"): outcome.value for outcome in found.ranked}
    assert by_threshold[0.5] > by_threshold[0.05]


def test_one_broken_map_is_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    broken = sorted((run / "cams").glob("*.npz"))[0]
    broken.write_bytes(b"no map")
    context = open_run(run)
    found = search(context, tmp_path / "out", objective="miou")
    assert [failure.image_id for failure in found.failures] == [broken.stem]
    assert found.images == 7


@pytest.mark.parametrize("name", ["test", "test2", "Main/test", "test2017", "image_info_test-dev2017"])
def test_names_of_test_splits(name: str) -> None:
    assert is_test_split(name)
    assert not any(map(is_test_split, ("val", "all", "train", "latest", "contest")))


def test_test_images_never_give_their_truth(tmp_path: Path) -> None:
    context = open_run(make_run(tmp_path, split="all"))
    held_out = set((tmp_path / "data" / "ImageSets" / "Main" / "test2.txt").read_text().split())
    chosen = choose_images(context, None, label_free=False)
    assert len(chosen.samples) == 10
    assert not held_out & {sample.image_id for sample in chosen.samples}
    assert "8 images of a test split" in chosen.notes[0]
    for image_id in held_out:  # what is never opened may be missing
        (tmp_path / "data" / "SegmentationClass" / f"{image_id}.png").write_bytes(b"broken")
    assert search(context, tmp_path / "out", objective="miou").failures == ()
    with pytest.raises(ConfigError, match="test split"):
        choose_images(context, "test2", label_free=False)
    assert all(sample.mask is None for sample in choose_images(context, "test2", label_free=True).samples)


def test_run_of_test_images_is_tuned_label_free_only(tmp_path: Path) -> None:
    context = open_run(make_run(tmp_path, split="test2"))
    with pytest.raises(ConfigError, match="never chosen by the truth"):
        search(context, tmp_path / "a", objective="miou")
    found = search(context, tmp_path / "b")
    assert any("test images" in note for note in found.chosen.notes)
    with pytest.raises(ConfigError, match="score maps"):
        search(context, tmp_path / "c", split="val")


def test_maps_of_one_scale_have_an_objective(tmp_path: Path) -> None:
    context = open_run(make_run(tmp_path, scales=1))
    assert search(context, tmp_path / "out").objective == "edge_alignment"


def test_rungs_grow_threefold_up_to_all() -> None:
    assert list_rungs(60) == [20, 60]
    assert list_rungs(72) == [8, 24, 72]
    assert list_rungs(100)[-1] == 100
    assert list_rungs(5) == [5]
    assert all(later <= 3 * earlier for earlier, later in zip(list_rungs(500), list_rungs(500)[1:], strict=False))


def test_halving_keeps_the_best_and_the_first() -> None:
    trials = [{"x": number} for number in range(30)]
    calls: list[tuple[int, int]] = []

    def evaluate(asked: list[dict], images: int) -> list[Outcome]:
        calls.append((len(asked), images))
        return [Outcome(each, images, None if each["x"] == 5 else float(each["x"]), 0.0) for each in asked]

    ranked = run_halving(trials, 90, evaluate)  # type: ignore[arg-type]
    assert calls == [(30, 10), (11, 30), (5, 90)]
    assert [each.settings["x"] for each in ranked] == [29, 28, 27, 26, 0]


def test_memory_of_images_is_bounded(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = tuning_images.ImageReader(_files(context), 2, False, False)  # type: ignore[arg-type]
    one = reader.read(context.samples[0]).bytes
    monkeypatch.setattr(tuning_images, "MOST_BYTES", 2 * one)
    kept = tuning_images.Kept(reader)
    assert [each.sample.image_id for each in kept.each(context.samples)] == [each.image_id for each in context.samples]
    assert 0 < kept.bytes <= 2 * one
    assert list(kept.images) == [sample.image_id for sample in context.samples[: len(kept.images)]]
