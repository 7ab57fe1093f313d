from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.evaluate_voc_ap import area, count_objects, eleven_point, judge
from wsl.errors import ConfigError, DataError
from wsl.evaluate.detection.voc_ap import VocAp
from wsl.types import Box, ClassSet

CLASSES = ClassSet(("cat", "dog", "cow"))
Image = tuple[list[Box], list[Box]]  # predicted, true


def make_images(seed: int, count: int = 5, levels: int = 4) -> dict[str, Image]:
    """Few pixels, few scores, few classes: many ties, crossings and difficult objects. Class 3 may have no object."""
    generator = np.random.default_rng(seed)

    def draw(class_id: int, score: float, difficult: bool) -> Box:
        x, y, width, height = generator.integers(0, 6), generator.integers(0, 6), *generator.integers(1, 7, 2)
        return Box((float(x), float(y), float(x + width), float(y + height)), class_id, score, difficult)

    return {
        f"image {number}": (
            [
                draw(int(generator.integers(1, 4)), int(generator.integers(levels)) / levels, False)
                for _ in range(generator.integers(0, 8))
            ],
            [
                draw(int(generator.integers(1, 3)), 1.0, bool(generator.random() < 0.3))
                for _ in range(generator.integers(0, 4))
            ],
        )
        for number in range(count)
    }


def measure(images: dict[str, Image], **options: object) -> VocAp:
    metric = VocAp(**options)  # type: ignore[arg-type]
    for name, (predicted, truth) in images.items():
        metric.update(predicted, truth, name)
    return metric


def expected_of(
    images: dict[str, Image], class_id: int, limit: float, extra: float, strict: bool, levels: Sequence[float]
) -> tuple[float, float] | None:
    """(area, 11 points) of the oracle; None without an object that counts."""
    truth = {
        name: [(box.xyxy, box.difficult) for box in boxes if box.class_id == class_id]
        for name, (_, boxes) in images.items()
    }
    found = [
        (name, box.score, box.xyxy) for name in sorted(images) for box in images[name][0] if box.class_id == class_id
    ]
    right = judge(truth, found, limit, extra, strict)
    objects = count_objects(truth)
    return (area(right, objects), eleven_point(right, objects, levels)) if objects else None


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    limit=st.sampled_from([0.1, 0.5, 0.75, 1.0]),
    box_rule=st.sampled_from(["half_open", "plus_one"]),
    comparison=st.sampled_from(["greater", "greater_equal"]),
    points=st.sampled_from(["tenths", "arange"]),
)
def test_agrees_with_one_detection_after_the_other(
    seed: int, limit: float, box_rule: str, comparison: str, points: str
) -> None:
    images = make_images(seed)
    metric = measure(
        images, iou_thresholds=(0.3, limit), box_rule=box_rule, comparison=comparison, recall_points=points
    )
    whole, eleven = metric.scores(CLASSES)[2:]
    levels = [step / 10 for step in range(11)] if points == "tenths" else list(np.arange(0, 1.1, 0.1))
    extra, strict = float(box_rule == "plus_one"), comparison == "greater"
    every = {class_id: expected_of(images, class_id, limit, extra, strict, levels) for class_id in CLASSES.ids}
    for class_id, expected in every.items():
        name = CLASSES.name_of(class_id)
        assert whole.per_class.get(name, {"ap": None})["ap"] == (expected and pytest.approx(expected[0], abs=1e-12))
        assert eleven.per_class.get(name, {"ap": None})["ap"] == (expected and pytest.approx(expected[1], abs=1e-12))
    known = [expected[0] for expected in every.values() if expected]
    assert whole.value == (pytest.approx(np.mean(known), abs=1e-12) if known else None)


def test_half_open_boxes_give_the_devkits_number_for_its_own_corners() -> None:
    """The devkit's corners count from 1 and include the last pixel; its IoU adds 1. Here: readers' half-open boxes."""
    for seed in range(5):
        images = make_images(seed)
        corners = {name: tuple([shift(box) for box in boxes] for boxes in pair) for name, pair in images.items()}
        value = measure(images).scores(CLASSES)[0].per_class["cat"]["ap"]
        expected = expected_of(corners, 1, 0.5, 1.0, True, (0.0,))  # type: ignore[arg-type]
        assert value == pytest.approx(expected[0] if expected else None, abs=1e-12)


def shift(box: Box) -> Box:
    x1, y1, x2, y2 = box.xyxy
    return Box((x1 + 1, y1 + 1, x2, y2), box.class_id, box.score, box.difficult)


def test_a_detection_gets_no_second_choice() -> None:
    truth = [Box((0, 0, 10, 10), 1), Box((2, 0, 12, 10), 1)]
    # both are nearest to the first object, though the second would do
    predicted = [Box((0, 0, 10, 10), 1, 0.9), Box((0, 0, 11, 10), 1, 0.8)]
    metric = measure({"a": (predicted, truth)})
    assert metric.precision_recall(1).precision.tolist() == [1.0, 0.5]
    assert metric.precision_recall(1).recall.tolist() == [0.5, 0.5]
    assert metric.scores()[0].value == 0.5


def test_difficult_objects_are_neither_right_nor_wrong() -> None:
    truth = [Box((0, 0, 10, 10), 1, difficult=True), Box((50, 0, 60, 10), 1)]
    predicted = [Box((0, 0, 10, 10), 1, 0.9), Box((0, 0, 10, 9), 1, 0.8), Box((50, 0, 60, 10), 1, 0.1)]
    score = measure({"a": (predicted, truth)}).scores(CLASSES)[0]
    assert score.value == 1.0
    assert score.per_class == {"cat": {"ap": 1.0, "precision": 1.0, "recall": 1.0}}
    assert score.counts == {"images": 1, "objects": 1, "difficult objects": 1, "results": 3}
    only = measure({"a": (predicted[:1], truth[:1])}).scores()
    assert [each.value for each in only] == [None, None]


def test_the_threshold_is_strict_unless_told() -> None:
    images = {"a": ([Box((0, 0, 10, 5), 1)], [Box((0, 0, 10, 10), 1)])}
    assert measure(images).scores()[0].value == 0.0
    assert measure(images, comparison="greater_equal").scores()[0].value == 1.0
    assert measure(images, box_rule="plus_one").scores()[0].value == 1.0  # 11 x 6 of 11 x 11


def test_a_recall_of_three_tenths() -> None:
    truth = [Box((20.0 * x, 0, 20.0 * x + 10, 10), 1) for x in range(10)]
    images = {"a": (truth[:3], truth)}
    assert measure(images).scores()[1].value == pytest.approx(4 / 11)
    assert measure(images, recall_points="arange").scores()[1].value == pytest.approx(3 / 11)


def test_which_classes_are_in_the_mean() -> None:
    images = {"a": ([Box((0, 0, 9, 9), 1), Box((0, 0, 9, 9), 2)], [Box((0, 0, 9, 9), 1)])}
    plain, every = measure(images).scores(CLASSES)[0], measure(images, class_mean="truth_or_predicted").scores()[0]
    assert (plain.value, every.value) == (1.0, 0.5)
    assert plain.per_class["dog"] == {"ap": None, "precision": 0.0, "recall": None}
    assert every.per_class["class 2"]["ap"] == 0.0


def test_equal_scores_are_ranked_by_image_and_then_as_given() -> None:
    truth, far = Box((0, 0, 9, 9), 1), Box((50, 50, 59, 59), 1)
    assert measure({"b": ([truth], [truth]), "a": ([far], [])}).scores()[0].value == 0.5
    assert measure({"a": ([truth], [truth]), "b": ([far], [])}).scores()[0].value == 1.0
    assert measure({"a": ([far, truth], [truth])}).scores()[0].value == 0.5
    assert measure({"a": ([truth, far], [truth])}).scores()[0].value == 1.0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 5))
def test_halves_in_any_order_make_the_whole(seed: int, cut: int) -> None:
    images = make_images(seed)
    names = list(images)
    np.random.default_rng(seed).shuffle(names)
    left = measure({name: images[name] for name in names[:cut]})
    right = pickle.loads(pickle.dumps(measure({name: images[name] for name in names[cut:]})))  # noqa: S301
    right.merge(left)
    assert right.scores(CLASSES) == measure(images).scores(CLASSES)
    assert right.image_ids == tuple(sorted(images))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_permuted_classes_permute_the_scores(seed: int) -> None:
    images = make_images(seed)
    turned = {
        name: tuple([Box(box.xyxy, box.class_id % 3 + 1, box.score, box.difficult) for box in boxes] for boxes in pair)
        for name, pair in images.items()
    }
    plain, moved = measure(images).scores()[0], measure(turned).scores()[0]  # type: ignore[arg-type]
    assert {f"class {int(name[-1]) % 3 + 1}": row for name, row in plain.per_class.items()} == moved.per_class
    assert moved.value == pytest.approx(plain.value)


@pytest.mark.parametrize("kind", ["area", "11_point"])
@pytest.mark.parametrize("class_mean", ["truth", "truth_or_predicted"])
@pytest.mark.parametrize("levels", [1, 3, 10**6])
def test_resampling_is_scoring_the_drawn_images(kind: str, class_mean: str, levels: int) -> None:
    images = make_images(7, levels=levels)
    metric = measure(images, class_mean=class_mean)
    generator = np.random.default_rng(0)
    weights = np.concatenate((generator.multinomial(5, [0.2] * 5, 12), np.eye(5, dtype=int), np.zeros((1, 5), int)))
    expected = []
    for row in weights:
        drawn = {
            f"{name} {copy}": images[name]
            for name, times in zip(metric.image_ids, row, strict=True)
            for copy in range(times)
        }
        value = measure(drawn, class_mean=class_mean).scores()[0 if kind == "area" else 1].value
        expected.append(np.nan if value is None else value)
    np.testing.assert_allclose(metric.resample(weights, kind=kind), expected, atol=1e-15)
    ones = metric.resample(np.ones((1, 5), int), kind=kind)
    assert ones.dtype == np.float64
    assert ones[0] == pytest.approx(metric.scores()[0 if kind == "area" else 1].value, abs=1e-15)


def test_the_curve_is_the_envelope() -> None:
    metric = measure(make_images(3))
    score = metric.scores(CLASSES)[0]
    assert score.curve is not None
    assert set(score.curve) == {"recall", "precision cat", "precision dog"}
    exact = metric.precision_recall(1)
    for recall, height in zip(score.curve["recall"], score.curve["precision cat"], strict=True):
        assert height == max((p for p, r in zip(exact.precision, exact.recall, strict=True) if r >= recall), default=0)


def test_nothing_at_all_is_undefined() -> None:
    empty = VocAp()
    assert [score.value for score in empty.scores()] == [None, None]
    empty.update([], [], "a")
    assert [score.value for score in empty.scores()] == [None, None]
    assert empty.scores()[0].curve is None
    assert np.isnan(empty.resample([[3]])).all()
    empty.update([], [Box((0, 0, 1, 1), 1)], "b")
    assert empty.scores(CLASSES)[0].per_class == {"cat": {"ap": 0.0, "precision": None, "recall": 0.0}}
    one_pixel = measure({"a": ([Box((0, 0, 1, 1), 1)], [Box((0, 0, 1, 1), 1)])}, iou_thresholds=(0.99,))
    assert one_pixel.scores()[0].value == 1.0


@pytest.mark.parametrize(
    "box",
    [
        Box((0, 0, float("nan"), 1), 1),
        Box((0, 0, 1, 1), 1, float("nan")),
        Box((2, 0, 1, 1), 1),
        Box((0, 5, 1, 1), 1),
    ],
)
def test_broken_boxes_are_refused_by_image(box: Box) -> None:
    with pytest.raises(DataError, match="b/7: predicted boxes: expected finite x1 <= x2"):
        VocAp().update([box], [], "b/7")
    with pytest.raises(DataError, match="b/7: true boxes: expected finite x1 <= x2"):
        VocAp().update([], [box], "b/7")


def test_wrong_use_is_told() -> None:
    metric = measure({"a": ([], [])})
    with pytest.raises(DataError, match="a: this image was added before"):
        metric.update([], [], "a")
    with pytest.raises(DataError, match="a: this image is in both halves"):
        metric.merge(metric)
    with pytest.raises(ConfigError, match="same settings"):
        metric.merge(VocAp(box_rule="plus_one"))
    for option in ("box_rule", "comparison", "recall_points", "class_mean"):
        with pytest.raises(ConfigError, match=f"{option}: expected one of"):
            VocAp(**{option: "nothing"})
    with pytest.raises(ConfigError, match=r"values in \(0, 1\]"):
        VocAp((0.5, 1.5))
    with pytest.raises(ConfigError, match="iou_threshold: expected one of"):
        metric.resample([[1]], 0.75)
    with pytest.raises(DataError, match="class id 1: there is neither"):
        metric.precision_recall(1)
    for weights in ([1], [[1, 2]], [[0.5]], [[-1]]):
        with pytest.raises(DataError, match=r"weights: expected whole numbers >= 0 of shape \(draws, 1\)"):
            metric.resample(weights)
