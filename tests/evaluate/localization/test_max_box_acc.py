from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tests.oracles.evaluate_max_box_acc import hits_of_pair
from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.types import Box, ClassSet

IOUS = (0.3, 0.5, 0.7)


def make_pair(seed: int) -> tuple[np.ndarray, list[Box]]:
    """A smooth map whose peak lies more or less on one of one or two boxes of class 1 or 2."""
    generator = np.random.default_rng(seed)
    height, width = generator.integers(8, 30, 2)
    noise = generator.random((height, width))
    boxes = []
    for _ in range(generator.integers(1, 3)):
        x, y = generator.integers(0, width - 4), generator.integers(0, height - 4)
        right, bottom = generator.integers(x + 3, width + 1), generator.integers(y + 3, height + 1)
        boxes.append(Box((float(x), float(y), float(right), float(bottom)), 1 + seed % 2))
    noise[y:bottom, x:right] += 0.7
    return ndimage.gaussian_filter(noise, seed % 3), boxes


@pytest.mark.parametrize("box_rule", ["wsolevaluation", "half_open"])
def test_agrees_with_one_threshold_after_the_other(box_rule: str) -> None:
    thresholds = np.arange(0, 1, 0.07)
    metric = MaxBoxAcc(IOUS, thresholds, box_rule=box_rule)
    hits = []
    for seed in range(8):
        score_map, boxes = make_pair(seed)
        metric.update(score_map, boxes)
        truth = [box.xyxy for box in boxes]
        hits.append(hits_of_pair(score_map, truth, thresholds, IOUS, box_rule == "wsolevaluation"))
    accuracy = np.mean(hits, axis=0)
    scores = {score.name: score for score in metric.scores()}
    for row, iou in enumerate(IOUS):
        score = scores[f"MaxBoxAccV2@{iou:g}"]
        np.testing.assert_allclose(score.curve["accuracy"], accuracy[1, row])
        assert score.value == pytest.approx(accuracy[1, row].max())
        assert score.threshold["value"] == thresholds[accuracy[1, row].argmax()]
    assert scores["MaxBoxAccV2"].value == pytest.approx(accuracy[1].max(axis=1).mean())
    assert scores["MaxBoxAccV1@0.5"].value == pytest.approx(accuracy[0, 1].max())
    fixed = {score.name: score for score in metric.at(float(thresholds[3]), "val")}
    assert fixed["BoxAccV2@0.7"].value == pytest.approx(accuracy[1, 2, 3])
    assert fixed["BoxAccV1@0.5"].value == pytest.approx(accuracy[0, 1, 3])
    assert {score.threshold["provenance"] for score in fixed.values()} == {"val"}


def test_a_perfect_mask_under_both_box_rules() -> None:
    # an object of 10 pixels in the middle: the inclusive rule sees 11 x 11 against 10 x 10 for inclusive truth
    score_map = np.zeros((30, 30))
    score_map[10:20, 10:20] = 1.0
    for box_rule, truth, found in (
        ("half_open", (10, 10, 20, 20), True),
        ("wsolevaluation", (10, 10, 20, 20), True),
        ("wsolevaluation", (10, 10, 19, 19), False),
    ):
        metric = MaxBoxAcc((0.83,), [0.5], box_rule=box_rule)
        metric.update(score_map, [Box(truth, 1)])
        assert metric.scores()[0].value == float(found)


def test_the_224_grid_moves_map_and_boxes() -> None:
    score_map = np.zeros((112, 224), np.float32)
    score_map[28:56, 56:112] = 1.0
    metric = MaxBoxAcc((0.7,), [0.5], grid="224")
    metric.update(score_map, [Box((56.0, 28.0, 112.0, 56.0), 1)], size=(112, 224))
    assert metric.scores()[0].value == 1.0
    metric.update(score_map, [Box((28.0, 14.0, 56.0, 28.0), 1)], size=(112, 224))
    assert metric.scores()[0].value == 0.5


def test_a_constant_map_is_a_miss_and_is_counted() -> None:
    metric = MaxBoxAcc()
    metric.update(np.full((5, 5), 0.2), [Box((0, 0, 5, 5), 1)])
    score = metric.scores()[0]
    assert score.value == 0.0
    assert score.counts == {"image-class pairs": 1, "constant maps": 1}


def test_halves_add_up_and_classes_are_kept_apart() -> None:
    whole, left, right = MaxBoxAcc(), MaxBoxAcc(), MaxBoxAcc()
    for seed in range(6):
        whole.update(*make_pair(seed))
        (left if seed < 3 else right).update(*make_pair(seed))
    left.merge(right)
    assert left.scores() == whole.scores()
    score = whole.scores(ClassSet(("cat", "dog")))[0]
    assert list(score.per_class) == ["cat", "dog"]
    assert np.mean([row["accuracy"] for row in score.per_class.values()]) == pytest.approx(score.value)


def test_nothing_added_is_undefined() -> None:
    assert {score.value for score in MaxBoxAcc().scores()} == {None}


def test_input_that_does_not_fit_is_refused() -> None:
    metric = MaxBoxAcc(thresholds=[0.5])
    box = Box((0, 0, 2, 2), 1)
    with pytest.raises(DataError, match="cat: expected finite scores"):
        metric.update(np.full((4, 4), np.nan), [box], name="cat")
    with pytest.raises(DataError, match=r"exactly one class, but got classes \[1, 2\]"):
        metric.update(np.eye(4), [box, Box((0, 0, 2, 2), 2)])
    with pytest.raises(DataError, match="exactly one class"):
        metric.update(np.eye(4), [])
    with pytest.raises(DataError, match=r"expected the image's 8x8 \(height x width\), but the map is 4x4"):
        metric.update(np.eye(4), [box], size=(8, 8))
    with pytest.raises(DataError, match=r"threshold 0\.3 was not among"):
        metric.at(0.3)
    with pytest.raises(ConfigError, match="grid: expected one of original, 224"):
        MaxBoxAcc(grid="512")
    with pytest.raises(ConfigError, match="iou_thresholds"):
        MaxBoxAcc((50,))
    with pytest.raises(ConfigError, match="box_rule: expected one of"):
        MaxBoxAcc(box_rule="inclusive")
    with pytest.raises(ConfigError, match="size_limits"):
        MaxBoxAcc(size_limits=(0.5, 0.2))
    for other in (MaxBoxAcc(), MaxBoxAcc(thresholds=[0.5], protocol="half_open"), MaxBoxAcc(0.5 * np.ones(1), [0.5])):
        with pytest.raises(ConfigError, match="joined"):
            metric.merge(other)


def test_single_choices_of_a_protocol_can_be_changed_and_its_name_says_so() -> None:
    plain, changed = MaxBoxAcc(protocol="wsolevaluation"), MaxBoxAcc(protocol="wsolevaluation", box_rule="half_open")
    same = MaxBoxAcc(protocol="wsolevaluation", grid="224")
    names = [metric.scores()[0].conventions["protocol"] for metric in (plain, changed, same)]
    assert names == ["wsolevaluation", "wsolevaluation, but box_rule half_open", "wsolevaluation"]
    assert changed.scores()[0].conventions["box IoU"] == "half-open"
    assert plain.scores()[0].conventions["thresholds"] == "1000 from 0 to 0.999"


def add_all(metric: MaxBoxAcc, seeds: list[int]) -> MaxBoxAcc:
    for seed in seeds:
        metric.update(*make_pair(seed), name=f"image {seed}")
    return metric


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(list(range(6))), cut=st.integers(0, 6))
def test_order_and_parts_do_not_matter(order: list[int], cut: int) -> None:
    def make() -> MaxBoxAcc:
        return MaxBoxAcc(keep_curves=True, per_class=True, size_limits=(0.05, 0.3))

    whole = add_all(make(), list(range(6)))
    left, right = add_all(make(), order[:cut]), pickle.loads(pickle.dumps(add_all(make(), order[cut:])))  # noqa: S301
    left.merge(right)
    assert left.scores() == whole.scores()
    assert left.curves().image_ids == whole.curves().image_ids
    assert left.curves().best.tobytes() == whole.curves().best.tobytes()


def test_curves_hold_every_hit_exactly() -> None:
    iou_thresholds = tuple(sorted({0.3, 0.5, 0.7, 1 / 3, 9 / 49, 0.83}))
    for protocol in ("original", "wsolevaluation"):
        metric = MaxBoxAcc(iou_thresholds, protocol=protocol, keep_curves=True)
        for seed in range(6):
            score_map, boxes = make_pair(seed)
            metric.update(score_map, boxes, score_map.shape, f"image {seed}")
        curves = metric.curves()
        assert curves.best.dtype == np.float64
        assert curves.best.shape == (6, 2, 100 if protocol == "original" else 255)
        place = np.searchsorted(metric.thresholds, curves.thresholds)
        for score in metric.scores():
            if score.curve:
                version, iou = int(score.name[10]), float(score.name.split("@")[1])
                exact = min(iou_thresholds, key=lambda value: abs(value - iou))
                accuracy = curves.hits(version, exact).mean(axis=0)
                np.testing.assert_array_equal(accuracy, np.array(score.curve["accuracy"])[place])
                assert accuracy.max() == score.value


def test_an_iou_just_below_its_threshold_is_no_hit_as_it_would_be_in_float32() -> None:
    # the IoU is 9 / 49, which is not a float32
    score_map = np.zeros((10, 10))
    score_map[:7, :7] = 1.0
    metric = MaxBoxAcc((9 / 49,), [0.5], protocol="half_open", keep_curves=True)
    metric.update(score_map, [Box((2, 2, 5, 5), 1)], name="cat")
    assert metric.scores()[0].value == 1.0
    assert metric.curves().hits(2, 9 / 49).all()
    assert not metric.curves().hits(2, np.nextafter(9 / 49, 1)).any()


def test_curves_know_image_class_and_size() -> None:
    metric = MaxBoxAcc(thresholds=[0.2, 0.6], keep_curves=True)
    metric.update(np.eye(10), [Box((0, 0, 5, 4), 2), Box((0, 0, 1, 1), 2)], name="b")
    metric.update(np.eye(10), [Box((0, 0, 10, 10), 1)], name="b")
    metric.update(np.eye(10), [Box((0, 0, 2, 5), 3)], name="a")
    curves = metric.curves()
    assert curves.image_ids == ("a", "b", "b")
    assert curves.class_ids.tolist() == [3, 1, 2]
    assert curves.shares.tolist() == np.array([0.1, 1.0, 0.2], np.float32).tolist()
    assert curves.thresholds.tolist() == [0.2, 0.6]
    with pytest.raises(DataError, match="b: expected each class of an image once, but class 1 came twice"):
        metric.update(np.eye(10), [Box((0, 0, 10, 10), 1)], name="b")
    with pytest.raises(DataError, match="needs the image's name"):
        metric.update(np.eye(10), [Box((0, 0, 10, 10), 1)])
    assert metric.scores()[0].counts["image-class pairs"] == 3
    with pytest.raises(ConfigError, match="keep_curves=True"):
        MaxBoxAcc().curves()


def test_no_pair_has_empty_curves() -> None:
    curves = MaxBoxAcc(keep_curves=True).curves()
    assert (curves.best.shape, curves.image_ids) == ((0, 2, 100), ())


def test_a_threshold_of_maps_as_given_must_be_the_same_for_all_maps() -> None:
    # 0.499 and 0.5 fall on the same level of a map up to 255, but not of one up to 2 / 255
    stretched = MaxBoxAcc(protocol="wsolevaluation", thresholds=[0.5])
    assert stretched.at(0.499)[0].name == "BoxAccV2@0.3"
    with pytest.raises(DataError, match=r"0\.505 was not among"):
        MaxBoxAcc(protocol="wsolevaluation", thresholds=[0.5]).at(0.505)
    with pytest.raises(DataError, match=r"0\.499 was not among"):
        MaxBoxAcc(protocol="wsolevaluation_files", thresholds=[0.5, 0.51]).at(0.499)
