"""What holds for every metric: halves add up in any order, scores say their conventions, tables give the scores."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from wsl.errors import ConfigError
from wsl.evaluate.metrics import METRICS, MetricSet, MetricSettings, choose_metrics
from wsl.evaluate.metrics.case import BoxCase, LabelMapCase, ScoreMapCase
from wsl.evaluate.metrics.metric import KINDS
from wsl.evaluate.result import name_table
from wsl.evaluate.segmentation import confusion
from wsl.evaluate.thresholds import GivenThreshold, parse_requests
from wsl.types import Box, ClassSet, Instance

CLASSES = ClassSet(("cat", "dog", "cow"))
SIZE = (18, 22)
SETTINGS = MetricSettings(
    CLASSES,
    has_boxes=True,
    requests=parse_requests(["oracle", "0.4", "label_free:otsu"]),
    given=(GivenThreshold("miou", 0.4, "fixed"), GivenThreshold("max_box_acc", 0.4, "fixed")),
)


def make_box(generator: np.random.Generator, class_id: int) -> Box:
    left, top = (float(value) for value in generator.integers(0, 9, 2))
    right, bottom = left + float(generator.integers(3, 12)), top + float(generator.integers(3, 9))
    return Box((left, top, right, bottom), class_id, float(generator.random()))


def make_case(kind: str, index: int) -> Any:
    """Small, with a class that is missing in some images, 255, ties, and an image without any object."""
    generator = np.random.default_rng(index)
    name, class_ids = f"i{index:02d}", () if index == 3 else (index % 2 + 1, 3)
    truth = generator.choice(np.array([0, *class_ids, 255], np.uint8), SIZE)
    if kind == "label_maps":
        return LabelMapCase(name, truth, generator.choice(np.array([0, 1, 2, 3, 255], np.uint8), SIZE))
    boxes = tuple(make_box(generator, class_id) for class_id in class_ids for _ in range(2))
    if kind == "boxes":
        predicted = tuple(make_box(generator, class_id) for class_id in (1, 2, 3))
        return BoxCase(name, predicted, tuple(Instance(box.class_id, box) for box in boxes))
    scores = (generator.integers(0, 21, (len(class_ids), *SIZE)) / 20).astype(np.float32)
    return ScoreMapCase(name, scores, class_ids, SIZE, truth, boxes, (3, 1, 2))


CASES = {kind: [make_case(kind, index) for index in range(8)] for kind in KINDS}


def collect(names: list[str], cases: list[Any]) -> MetricSet:
    metrics = MetricSet(names, SETTINGS)
    for case in cases:
        metrics.update(case)
    return metrics


@pytest.mark.parametrize("name", METRICS.names())
def test_halves_add_up_through_a_pickle_and_in_any_order(name: str) -> None:
    cases = CASES[METRICS.get(name).kind]
    whole = collect([name], cases)
    halves = [collect([name], cases[start::2]) for start in (0, 1)]
    for first, second in ((0, 1), (1, 0)):
        joined = pickle.loads(pickle.dumps(halves[first]))  # noqa: S301 (our own bytes)
        joined.merge(pickle.loads(pickle.dumps(halves[second])))  # noqa: S301
        assert joined.scores() == whole.scores()
        assert list(joined.tables()) == list(whole.tables())


@pytest.mark.parametrize("name", METRICS.names())
def test_scores_carry_their_conventions_and_counts(name: str) -> None:
    spec = METRICS.get(name)
    assert spec.about.endswith((".", "image."))
    for score in collect([name], CASES[spec.kind]).scores():
        assert score.protocol
        assert score.conventions
        assert score.counts
        assert score.value is None or 0 <= score.value <= 1


@pytest.mark.parametrize("name", METRICS.names())
def test_tables_give_the_scores_back(name: str) -> None:
    metrics = collect([name], CASES[METRICS.get(name).kind])
    tables, taken = metrics.tables(), set()
    for score in metrics.scores():
        key = name_table(score, taken)
        taken.add(key)
        if key in tables:
            table = tables[key]
            weights = np.ones((1, len(table.image_ids)), np.int64)
            assert table.measure(weights)[0] == pytest.approx(score.value, abs=1e-12), key
    assert set(tables) <= taken


@pytest.mark.parametrize("absent", ["skip", "zero", "ground_truth"])
@pytest.mark.parametrize("background", ["include", "exclude"])
@pytest.mark.parametrize("policy", ["background", "exclude"])
def test_label_maps_have_tables_under_every_policy(absent: str, background: str, policy: str) -> None:
    settings = replace(SETTINGS, absent=absent, background=background, predicted_ignore=policy)
    metrics = MetricSet(["miou", "image_miou", "boundary_miou"], settings)
    for case in CASES["label_maps"]:
        metrics.update(case)
    tables = metrics.tables()
    assert list(tables) == ["mIoU", "mIoU foreground", "pixel accuracy", "mIoU per image", "boundary mIoU"]
    values = {score.name: score.value for score in metrics.scores()}
    for name, table in tables.items():
        assert table.measure(np.ones((1, 8)))[0] == pytest.approx(values[name], abs=1e-12), name
        assert (table.truth() is None) == (policy == "exclude" or _has_free_images(name, absent, background)), name


def _has_free_images(name: str, absent: str, background: str) -> bool:
    """An image of background alone counts only if something else is predicted there."""
    return name == "mIoU per image" and absent == "skip" and background == "exclude"


def test_pixels_of_a_case_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, count = [], confusion.cv2.calcHist
    monkeypatch.setattr(confusion.cv2, "calcHist", lambda *args: calls.append(args) or count(*args))
    collect(["miou", "image_miou", "boundary_miou", "boundary_f", "size_bins"], [make_case("label_maps", 0)])
    assert len(calls) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_default_and_all_metrics_of_a_kind(kind: str) -> None:
    mine = [name for name in METRICS.in_order() if METRICS.get(name).kind == kind]
    assert choose_metrics(kind, ["all"], SETTINGS) == mine
    default = choose_metrics(kind, [], SETTINGS)
    assert default
    assert set(default) <= set(mine)
    assert choose_metrics(kind, [mine[-1]], SETTINGS) == [mine[-1]]


def test_metrics_that_the_truth_cannot_serve() -> None:
    masks_only = MetricSettings(CLASSES, has_masks=True, has_boxes=False)
    assert "max_box_acc" not in choose_metrics("score_maps", ["all"], masks_only)
    with pytest.raises(ConfigError, match="'max_box_acc' needs boxes, but there are none to score against"):
        choose_metrics("score_maps", ["max_box_acc"], masks_only)


def test_best_thresholds_are_told_for_use_elsewhere() -> None:
    metrics = collect(["miou_sweep", "max_box_acc", "pixel_ap"], CASES["score_maps"])
    choices = metrics.choices()
    assert sorted(choices) == ["max_box_acc", "miou", "pixel_ap"]
    best = next(score for score in metrics.scores() if score.name == "mIoU of score maps")
    assert choices["miou"] == best.threshold["value"]


def test_top_k_asks_only_for_as_many_classes_as_are_ranked() -> None:
    names = [score.name for score in collect(["max_box_acc"], CASES["score_maps"]).scores()]
    assert "Top-1 Loc@0.5" in names
    assert "Top-5 Loc@0.5" not in names  # three classes are ranked
