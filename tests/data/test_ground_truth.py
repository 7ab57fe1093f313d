from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from wsl.data.ground_truth import read_ground_truth
from wsl.data.label_maps import write_label_map
from wsl.data.rle import encode_mask
from wsl.errors import DataError
from wsl.types import Box, Instance, MaskSource, Sample

SIZE = (6, 8)


def sample_with(mask: MaskSource | None, *instances: Instance) -> Sample:
    return Sample("a", Path("a.jpg"), (1,), instances, mask)


def instance(class_id: int, rows: slice, columns: slice, **options: Any) -> Instance:
    area = np.zeros(SIZE, np.bool_)
    area[rows, columns] = True
    return Instance(class_id, Box((0, 0, 8, 6), class_id), encode_mask(area), **options)


def test_none_and_background() -> None:
    assert read_ground_truth(sample_with(None), SIZE, 2) is None
    empty = read_ground_truth(sample_with(MaskSource("background")), SIZE, 2)
    assert empty is not None
    assert (empty.dtype, empty.shape, empty.any()) == (np.uint8, SIZE, False)


def test_stored_label_map(tmp_path: Path) -> None:
    label_map = np.array([[0, 1, 2, 255]], np.uint8)
    write_label_map(tmp_path / "a.png", label_map)
    source = MaskSource("label_map", tmp_path / "a.png")
    np.testing.assert_array_equal(read_ground_truth(sample_with(source), (1, 4), 2), label_map)
    with pytest.raises(DataError, match=r"a\.png: label values \[2\] are outside 0\.\.1"):
        read_ground_truth(sample_with(source), (1, 4), 1)
    with pytest.raises(DataError, match=r"a\.png: the mask is 1x4 but the image is 4x1"):
        read_ground_truth(sample_with(source), (4, 1), 2)


def test_value_map(tmp_path: Path) -> None:
    write_label_map(tmp_path / "a.png", np.array([[0, 7, 9, 255]], np.uint8))
    mapped = MaskSource("label_map", tmp_path / "a.png", value_map={0: 0, 7: 2, 9: 1, 255: 255})
    np.testing.assert_array_equal(read_ground_truth(sample_with(mapped), (1, 4), 2), [[0, 2, 1, 255]])
    partial = MaskSource("label_map", tmp_path / "a.png", value_map={0: 0, 7: 2, 255: 255})
    with pytest.raises(DataError, match=r"label values \[9\] belong to no class"):
        read_ground_truth(sample_with(partial), (1, 4), 2)


def test_binary(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.array([[0, 255], [1, 0]], np.uint8)).save(tmp_path / "m.png")
    source = MaskSource("binary", tmp_path / "m.png", class_id=3)
    label_map = read_ground_truth(sample_with(source), (2, 2), 3)
    assert label_map is not None
    assert label_map.dtype == np.uint8
    assert label_map.tolist() == [[0, 3], [3, 0]]


def test_small_instances_stay_visible_whatever_their_order() -> None:
    large, small = instance(1, slice(0, 6), slice(0, 8)), instance(2, slice(2, 4), slice(2, 4))
    expected = np.ones(SIZE, np.uint8)
    expected[2:4, 2:4] = 2
    for order in ((large, small), (small, large)):
        drawn = read_ground_truth(sample_with(MaskSource("instances"), *order), SIZE, 2)
        np.testing.assert_array_equal(drawn, expected)


def test_crowds_and_boxes_without_a_mask_are_not_scored() -> None:
    crowd = instance(1, slice(0, 3), slice(0, 8), crowd=True)
    small = instance(2, slice(2, 4), slice(2, 4))
    boxed = Instance(1, Box((6.2, 3.9, 9.0, 6.0), 1))
    expected = np.zeros(SIZE, np.uint8)
    expected[0:3] = 255
    expected[4:6, 6:8] = 255
    expected[2:4, 2:4] = 2
    drawn = read_ground_truth(sample_with(MaskSource("instances"), small, crowd, boxed), SIZE, 2)
    np.testing.assert_array_equal(drawn, expected)


def test_errors_name_the_file() -> None:
    broken = Instance(1, Box((0, 0, 1, 1), 1), {"size": [6, 8], "counts": "!"})
    with pytest.raises(DataError, match=r"a\.jpg: the annotation of an instance is broken: RLE"):
        read_ground_truth(sample_with(MaskSource("instances"), broken), SIZE, 1)
    with pytest.raises(DataError, match="unknown kind of ground truth 'magic'"):
        read_ground_truth(sample_with(MaskSource("magic")), SIZE, 1)
    with pytest.raises(DataError, match="needs a file"):
        read_ground_truth(sample_with(MaskSource("binary")), SIZE, 1)
