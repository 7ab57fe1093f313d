from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.oracles.localize_components import flood_components
from wsl.errors import ConfigError, DataError
from wsl.localize.boxes import boxes_of, find_boxes
from wsl.types import Box, ScoreMaps


def two_blobs() -> np.ndarray:
    score_map = np.zeros((6, 10), np.float32)
    score_map[0:2, 0:2] = 1.0  # 4 pixels, mean 1
    score_map[3:6, 5:9] = 0.5  # 12 pixels, mean 0.5
    return score_map


def test_all_boxes_highest_first() -> None:
    boxes = find_boxes(two_blobs(), class_id=3, select="all", class_score=0.5)
    assert boxes == [Box((0, 0, 2, 2), 3, 0.5), Box((5, 3, 9, 6), 3, 0.25)]


def test_largest_is_by_pixels() -> None:
    assert find_boxes(two_blobs(), class_id=1) == [Box((5, 3, 9, 6), 1, 0.5)]


@pytest.mark.parametrize(
    ("min_area", "count"), [(0, 2), (4, 2), (5, 1), (12, 1), (13, 0), (0.05, 2), (0.1, 1), (0.3, 0)]
)
def test_min_area_in_pixels_or_fraction(min_area: float, count: int) -> None:
    assert len(find_boxes(two_blobs(), class_id=1, select="all", min_area=min_area)) == count


def test_min_score() -> None:
    assert len(find_boxes(two_blobs(), class_id=1, select="all", min_score=0.6)) == 1


@pytest.mark.parametrize("rule", ["fixed", "relative", "percentile", "otsu"])
def test_all_zero_gives_no_box(rule: str) -> None:
    assert find_boxes(np.zeros((4, 4), np.float32), class_id=1, rule=rule, threshold=0.0) == []


def test_full_map_gives_the_whole_image() -> None:
    assert find_boxes(np.full((4, 7), 0.5, np.float32), class_id=2) == [Box((0, 0, 7, 4), 2, 0.5)]


def test_one_pixel_image() -> None:
    assert find_boxes(np.ones((1, 1), np.float32), class_id=2) == [Box((0, 0, 1, 1), 2, 1.0)]


def test_equal_scores_are_ordered_by_area_then_place() -> None:
    score_map = np.zeros((5, 9), np.float32)
    for y, x, width in [(4, 0, 1), (0, 8, 1), (0, 0, 1), (2, 3, 3)]:
        score_map[y, x : x + width] = 1
    corners = [box.xyxy[:2] for box in find_boxes(score_map, class_id=1, select="all")]
    assert corners == [(3, 2), (0, 0), (8, 0), (0, 4)]


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.sampled_from([0, 0.25, 0.5, 1])),
    st.sampled_from([0.0, 0.25, 0.5]),
)
def test_against_flood_fill(score_map: np.ndarray, threshold: float) -> None:
    boxes = find_boxes(score_map, class_id=1, rule="fixed", threshold=threshold, select="all")
    wanted = []
    for region in flood_components(score_map > threshold, 8):
        ys, xs = zip(*region, strict=True)
        mean = float(np.mean([score_map[place] for place in region]))
        wanted.append(((min(xs), min(ys), max(xs) + 1, max(ys) + 1), pytest.approx(mean)))
    assert sorted((box.xyxy, box.score) for box in boxes) == sorted(wanted, key=lambda one: one[0])
    assert [box.score for box in boxes] == sorted((box.score for box in boxes), reverse=True)


@settings(max_examples=20, deadline=None)
@given(arrays(np.float32, (5, 6), elements=st.sampled_from([0, 0.5, 1])))
def test_flip_flips_the_boxes(score_map: np.ndarray) -> None:
    boxes = find_boxes(score_map, class_id=1, select="all")
    flipped = find_boxes(np.ascontiguousarray(score_map[:, ::-1]), class_id=1, select="all")
    back = {(6 - x2, y1, 6 - x1, y2) for x1, y1, x2, y2 in (box.xyxy for box in flipped)}
    assert back == {box.xyxy for box in boxes}


def score_maps(scores: np.ndarray, size: tuple[int, int], **options: object) -> ScoreMaps:
    return ScoreMaps("a/1", scores, tuple(range(4, 4 + len(scores))), size, **options)


def test_boxes_of_classes_with_class_scores() -> None:
    scores = np.stack([two_blobs(), np.ones((6, 10), np.float32)])
    known = score_maps(scores, (6, 10), class_scores=np.array([1.0, 0.2], np.float32))
    assert [(box.class_id, round(box.score, 6)) for box in boxes_of(known)] == [(4, 0.5), (5, 0.2)]
    half_known = score_maps(scores, (6, 10), class_scores=np.array([1.0, np.nan], np.float32))
    assert [(box.class_id, box.score) for box in boxes_of(half_known)] == [(5, 1.0), (4, 0.5)]
    assert [(box.class_id, box.score) for box in boxes_of(score_maps(scores, (6, 10)))] == [(5, 1.0), (4, 0.5)]


def test_small_maps_are_enlarged_to_the_image() -> None:
    scores = np.zeros((1, 2, 3), np.float32)
    scores[0, :, 0] = 1
    (box,) = boxes_of(score_maps(scores, (8, 12)), rule="fixed", threshold=0.5)
    assert box.xyxy == (0, 0, 4, 8)


def test_image_without_classes() -> None:
    assert boxes_of(score_maps(np.zeros((0, 3, 3), np.float32), (3, 3))) == []


def test_bad_options() -> None:
    with pytest.raises(ConfigError, match=r"select: unknown value 'larges'\. Did you mean: largest"):
        find_boxes(two_blobs(), class_id=1, select="larges")
    with pytest.raises(ConfigError, match="min_area: expected pixels"):
        find_boxes(two_blobs(), class_id=1, min_area=-1)
    with pytest.raises(DataError, match="a/1, class 4: expected finite"):
        boxes_of(score_maps(np.full((1, 2, 2), np.nan, np.float32), (2, 2)))
