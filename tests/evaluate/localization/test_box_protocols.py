from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from tests.oracles.evaluate_wsolevaluation import hits_of_image, infer, max_box_acc, resize_box
from wsl import compiled
from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.box_protocols import (
    PROTOCOLS,
    check_iou_thresholds,
    get_protocol,
    list_thresholds,
    prepare_map,
    prepare_truth,
)
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.types import Box

SIZES = ((300, 200), (224, 224), (91, 333))


def make_case(seed: int) -> tuple[np.ndarray, list[Box], tuple[int, int]]:
    """A map of the image's size, one or two true boxes with a rise of the map on the last, and the image's size."""
    generator = np.random.default_rng(seed)
    height, width = size = SIZES[seed % len(SIZES)]
    coarse = generator.random((5, 6))
    boxes = []
    for _ in range(1 + seed % 2):
        x, y = generator.uniform(0, width * 0.6), generator.uniform(0, height * 0.6)
        boxes.append(Box((x, y, x + generator.uniform(0.2, 0.4) * width, y + 0.35 * height), 1))
    score_map = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    x1, y1, x2, y2 = (int(corner) for corner in boxes[-1].xyxy)
    score_map[y1:y2, x1:x2] += 0.4
    return ndimage.gaussian_filter(score_map, 4).astype(np.float32), boxes, size


def collect(metric: MaxBoxAcc) -> list[float]:
    """V2 at each IoU, then V1 at 0.5, in percent."""
    values = {score.name: score.value for score in metric.scores()}
    return [100 * values[f"MaxBoxAcc{name}"] for name in ("V2@0.3", "V2@0.5", "V2@0.7", "V1@0.5")]


@pytest.mark.parametrize("switch", ["1", "0"])
def test_wsolevaluation_is_its_inference(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.SWITCH, switch)
    # a tenth of the thresholds, all of them in the next test
    metric = MaxBoxAcc(protocol="wsolevaluation", thresholds=np.arange(0, 1, 0.01))
    maps, truths = [], []
    for seed in range(6):
        score_map, boxes, size = make_case(seed)
        metric.update(score_map, boxes, size)
        maps.append(infer(score_map))
        truths.append([resize_box(box.xyxy, size) for box in boxes])
    expected = max_box_acc(maps, truths, 0.01, True) + max_box_acc(maps, truths, 0.01, False, (50,))
    assert collect(metric) == pytest.approx(expected)
    assert 0 < min(expected) < max(expected)


@pytest.mark.parametrize("switch", ["1", "0"])
def test_all_thousand_thresholds(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.SWITCH, switch)
    score_map, boxes, size = make_case(1)
    metric = MaxBoxAcc(protocol="wsolevaluation", iou_thresholds=(0.3,))
    metric.update(score_map, boxes, size)
    thresholds = list(np.arange(0, 1, 0.001))
    hits = hits_of_image(infer(score_map), [resize_box(box.xyxy, size) for box in boxes], thresholds, True, (30,))
    score = metric.scores()[0]
    assert score.curve["threshold"] == thresholds
    assert score.curve["accuracy"] == hits[0].astype(float).tolist()
    assert 0 < hits.sum() < 1000


@pytest.mark.parametrize("switch", ["1", "0"])
def test_wsolevaluation_files_takes_maps_as_they_are(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.SWITCH, switch)
    metric, maps, truths = MaxBoxAcc(protocol="wsolevaluation_files"), [], []
    for seed in range(6):
        score_map, boxes, size = make_case(seed)
        # peaks below 255, so that int(threshold * peak) is another level for each map
        maps.append(np.clip(infer(score_map) * (0.3 + 0.1 * seed), 0, 1))
        metric.update(maps[-1], boxes, size)
        truths.append([resize_box(box.xyxy, size) for box in boxes])
    assert len(metric.thresholds) == 100
    expected = max_box_acc(maps, truths, 0.01, True) + max_box_acc(maps, truths, 0.01, False, (50,))
    assert collect(metric) == pytest.approx(expected)
    assert 0 < min(expected) < max(expected)


@pytest.mark.parametrize(("protocol", "accuracy"), [("wsolevaluation", 1.0), ("original", 0.0), ("half_open", 0.0)])
def test_a_constant_map_has_the_corner_box_only_where_it_was_published(protocol: str, accuracy: float) -> None:
    metric = MaxBoxAcc(protocol=protocol)
    metric.update(np.full((224, 224), 0.4), [Box((0.0, 0.0, 0.9, 0.5), 1)], (224, 224))
    metric.update(np.full((224, 224), 0.4), [Box((0.0, 0.0, 0.9, 0.5), 1)], (224, 224))
    for score in metric.scores():
        assert score.value == accuracy
        assert score.counts["constant maps"] == 2
    assert max_box_acc([infer(np.full((224, 224), 0.4))], [[(0, 0, 0, 0)]], 0.1, True) == [100.0] * 3


def test_a_constant_map_as_given_fills_the_frame() -> None:
    metric = MaxBoxAcc(protocol="wsolevaluation_files")
    metric.update(np.full((224, 224), 0.4), [Box((0.0, 0.0, 300.0, 200.0), 1)], (200, 300))
    assert {score.value for score in metric.scores()} == {1.0}
    metric.update(np.full((224, 224), 0.003), [Box((0.0, 0.0, 300.0, 200.0), 1)], (200, 300))  # 0 in 8 bits
    assert {score.value for score in metric.scores()} == {0.5}


def test_true_boxes_are_cut_to_whole_pixels_of_the_grid() -> None:
    boxes = np.array([[10.0, 20.5, 99.0, 77.0], [0.0, 0.0, 333.0, 91.0]])
    moved = prepare_truth(get_protocol("wsolevaluation"), boxes, (91, 333))
    assert moved.tolist() == [list(resize_box(box, (91, 333))) for box in boxes]
    assert prepare_truth(get_protocol("original"), boxes, (91, 333)) is boxes


def test_thresholds_of_the_protocols() -> None:
    assert list_thresholds(get_protocol("wsolevaluation")).tolist() == np.arange(0, 1, 0.001).tolist()
    for name in ("original", "half_open", "wsolevaluation_files"):
        assert list_thresholds(get_protocol(name)).tolist() == np.arange(0, 1, 0.01).tolist()
    assert list_thresholds(get_protocol("original"), [0.5, 0.1, 0.5]).tolist() == [0.1, 0.5]


@pytest.mark.parametrize(
    ("protocol", "shape", "size", "message"),
    [
        ("original", (4, 5), (4, 6), r"cat: expected the image's 4x6 \(height x width\), but the map is 4x5"),
        ("wsolevaluation", (4, 5), (4, 6), "expected the image's 4x6 or the grid's 224x224 .* the map is 4x5"),
        ("wsolevaluation_files", (4, 6), (4, 6), "expected the grid's 224x224 .* the map is 4x6"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    protocol: str, shape: tuple[int, int], size: tuple[int, int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        prepare_map(get_protocol(protocol), np.eye(*shape), size, "cat")


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_maps_that_are_not_finite_are_refused(protocol: str) -> None:
    for value in (np.nan, np.inf):
        with pytest.raises(DataError, match="cat: expected finite scores, but 50176 are NaN or inf"):
            prepare_map(get_protocol(protocol), np.full((224, 224), value), (224, 224), "cat")


def test_the_grid_224_needs_the_size_of_the_image() -> None:
    with pytest.raises(ConfigError, match=r"cat: on the grid 224 .* size must be given"):
        prepare_map(get_protocol("wsolevaluation"), np.eye(224), None, "cat")


def test_maps_outside_0_to_1_are_not_taken_as_they_are() -> None:
    with pytest.raises(DataError, match=r"cat: expected scores in \[0, 1\].* from 0 to 2"):
        prepare_map(get_protocol("wsolevaluation_files"), 2 * np.eye(224), (9, 9), "cat")


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"Unknown box protocol 'wsolevalution'\. Did you mean: wsolevaluation"):
        get_protocol("wsolevalution")
    for bad in ((), (0.0,), (50,), (0.5, 0.5)):
        with pytest.raises(ConfigError, match=r"iou_thresholds: expected different values in \(0, 1\]"):
            check_iou_thresholds(bad)


def test_every_choice_is_among_the_conventions() -> None:
    written = [tuple(sorted(protocol.conventions().items())) for protocol in PROTOCOLS.values()]
    assert len(set(written)) == len(PROTOCOLS)
    assert {protocol.conventions()["protocol"] for protocol in PROTOCOLS.values()} == set(PROTOCOLS)
