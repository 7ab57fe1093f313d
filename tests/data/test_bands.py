"""Bands of image files at full depth."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from wsl.data.bands import read_bands
from wsl.data.images import read_image
from wsl.errors import DataError

RANDOM = np.random.default_rng(0)


def test_deep_greys_keep_their_depth(tmp_path: Path) -> None:
    values = RANDOM.integers(0, 65536, (5, 7), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), values)
    found = read_bands(tmp_path / "a.png")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, values[..., None] / 257, rtol=1e-6)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_bands_of_a_tiff(planar: str, tmp_path: Path) -> None:
    values = RANDOM.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    stored = values if planar == "contig" else np.moveaxis(values, -1, 0).copy()
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    np.testing.assert_allclose(read_bands(tmp_path / "a.tif"), values / 257, rtol=1e-6)


def test_bytes_are_as_they_are(tmp_path: Path) -> None:
    Image.fromarray(RANDOM.integers(0, 256, (4, 6, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_bands(tmp_path / "a.png"), read_image(tmp_path / "a.png"))


def test_floats_are_stretched_and_must_be_finite(tmp_path: Path) -> None:
    values = RANDOM.normal(size=(4, 6)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values)
    found = read_bands(tmp_path / "a.tif")[..., 0]
    np.testing.assert_allclose(found, (values - values.min()) / np.ptp(values) * 255, atol=1e-3)
    values[0, 0] = np.nan
    tifffile.imwrite(tmp_path / "b.tif", values)
    with pytest.raises(DataError, match=r"b\.tif: refine\.bands=all expects finite bands"):
        read_bands(tmp_path / "b.tif")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0 nothing more")
    with pytest.raises(DataError, match=r"a\.tif: "):
        read_bands(tmp_path / "a.tif")
