from __future__ import annotations

from typing import Any

import numpy as np
import pycocotools.mask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.data_rle import fill_runs, read_counts
from wsl.data.rle import decode_mask, encode_mask, segmentation_to_mask
from wsl.errors import DataError


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    share = draw(st.sampled_from([0.0, 0.02, 0.5, 1.0]))
    seed = draw(st.integers(0, 10_000))
    return np.random.default_rng(seed).random((height, width)) < share


@settings(max_examples=60, deadline=None)
@given(masks())
def test_round_trip_and_literal_reader(mask: np.ndarray) -> None:
    rle = encode_mask(mask)
    assert rle["size"] == list(mask.shape)
    np.testing.assert_array_equal(decode_mask(rle), mask)
    np.testing.assert_array_equal(fill_runs(read_counts(rle["counts"]), *mask.shape), mask)
    np.testing.assert_array_equal(decode_mask({"size": rle["size"], "counts": read_counts(rle["counts"])}), mask)


def test_a_long_run_needs_several_groups() -> None:
    mask = np.zeros((700, 900), np.bool_)
    mask[5:600, 800] = True
    rle = encode_mask(mask)
    np.testing.assert_array_equal(decode_mask(rle), mask)
    np.testing.assert_array_equal(decode_mask(rle), pycocotools.mask.decode(rle).astype(bool))


def test_hand_worked_uncompressed() -> None:
    mask = decode_mask({"size": [2, 3], "counts": [1, 2, 3]})
    np.testing.assert_array_equal(mask, [[False, True, False], [True, False, False]])


@pytest.mark.parametrize(
    ("rle", "message"),
    [
        ({"counts": [4]}, "expected 'size'"),
        ({"size": [2, 2]}, "expected 'counts'"),
        ({"size": [2, 0], "counts": [0]}, "expected 'size'"),
        ({"size": [2.0, 2], "counts": [4]}, "expected 'size'"),
        ({"size": [2, 2], "counts": [3]}, "sum to 4"),
        ({"size": [2, 2], "counts": [5]}, "sum to 4"),
        ({"size": [2, 2], "counts": [5, -1]}, "sum to 4"),
        ({"size": [2, 2], "counts": [2**62, 2**62, 2**62, 2**62, 4]}, "sum to 4"),
        ({"size": [2, 2], "counts": [1.5, 2.5]}, "whole numbers"),
        ({"size": [2, 2], "counts": ["a"]}, "whole numbers"),
        ({"size": [2, 2], "counts": [[4]]}, "whole numbers"),
        ({"size": [2, 2], "counts": ""}, "compressed form"),
        ({"size": [2, 2], "counts": "!!"}, "compressed form"),
        ({"size": [2, 2], "counts": "é"}, "compressed form"),
        ({"size": [2, 2], "counts": "4P"}, "compressed form"),
        ({"size": [2, 2], "counts": "o" * 60 + "0"}, "too long"),
        ({"size": [2, 2], "counts": "5"}, "sum to 4"),
        ({"size": [10**6, 10**6], "counts": [10**12]}, "limit"),
    ],
)
def test_garbage_is_refused(rle: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode_mask(rle)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=[chr(code) for code in range(48, 112)], min_size=1, max_size=12))
def test_any_text_is_decoded_like_the_literal_reader_or_refused(counts: str) -> None:
    try:
        mask = decode_mask({"size": [4, 5], "counts": counts})
    except DataError:
        if (ord(counts[-1]) - 48) & 32 == 0:  # complete text: the runs must really be wrong
            runs = read_counts(counts)
            assert sum(runs) != 20 or min(runs) < 0
    else:
        np.testing.assert_array_equal(mask, fill_runs(read_counts(counts), 4, 5))


def test_encode_refuses_what_is_no_mask() -> None:
    for wrong in (np.zeros((2, 2), np.uint8), np.zeros((0, 2), np.bool_), np.zeros((2, 2, 1), np.bool_)):
        with pytest.raises(DataError, match="expected bool"):
            encode_mask(wrong)


def test_polygons_are_united() -> None:
    left, right = [0, 0, 2, 0, 2, 4, 0, 4], [4, 0, 6, 0, 6, 4, 4, 4]
    expected = np.zeros((5, 8), np.bool_)
    expected[:4, :2] = expected[:4, 4:6] = True
    np.testing.assert_array_equal(segmentation_to_mask([left, right], (5, 8)), expected)


def test_segmentation_accepts_both_kinds_of_rle() -> None:
    mask = np.eye(4, dtype=np.bool_)
    rle = encode_mask(mask)
    np.testing.assert_array_equal(segmentation_to_mask(rle, (4, 4)), mask)
    runs = {"size": [4, 4], "counts": read_counts(rle["counts"])}
    np.testing.assert_array_equal(segmentation_to_mask(runs, (4, 4)), mask)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [2, 2], "counts": [4]}, "2x2 is not the image's 9x9"),
        ([], "expected an RLE dict or a list"),
        ("abc", "expected an RLE dict or a list"),
        ([[1, 1, 5, 5]], "at least 3 points"),
        ([[1, 1, 5, 5, 2, 2, 7]], "at least 3 points"),
        ([[1, 1, 5, "x", 2, 2]], "at least 3 points"),
        ([5, 5, 7, 7, 1, 1], "at least 3 points"),
        ([[1, 1, 5, float("nan"), 2, 2]], "near the image"),
        ([[1, 1, 1e9, 5, 2, 2]], "near the image"),
    ],
)
def test_bad_segmentations_are_refused(segmentation: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        segmentation_to_mask(segmentation, (9, 9))
