"""A folder of images without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsl.data.reader import guess_format, open_dataset
from wsl.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.jpg", "a.png"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path


def test_labels_are_unknown(folder: Path) -> None:
    assert guess_format(folder)[0] == "images"
    dataset = open_dataset(folder, classes=("cat", "dog"))
    assert [sample.image_id for sample in dataset.samples] == ["a", "b"]
    assert all(sample.class_ids is None and sample.mask is None for sample in dataset.samples)
    assert [problem.path.name for problem in dataset.problems] == ["a.png"]


def test_without_class_names_it_says_what_to_do(folder: Path) -> None:
    with pytest.raises(DataError, match="trained classifier"):
        open_dataset(folder)
