from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from wsl.data.images import IMAGE_SUFFIXES, read_image, read_image_info, read_image_size
from wsl.errors import DataError

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def save(path: Path, values: np.ndarray, mode: str | None = None, **options: Any) -> Path:
    image = PIL.Image.fromarray(values)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_lossless_colours_come_back(tmp_path: Path, suffix: str) -> None:
    image = read_image(save(tmp_path / f"a{suffix}", COLOURS))
    assert image.dtype == np.uint8
    assert image.flags.writeable
    np.testing.assert_array_equal(image, COLOURS)
    assert suffix in IMAGE_SUFFIXES


def test_one_pixel(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", COLOURS[:1, :1])), COLOURS[:1, :1])


def test_grey_and_one_bit(tmp_path: Path) -> None:
    grey = COLOURS[:, :, 0]
    np.testing.assert_array_equal(read_image(save(tmp_path / "l.png", grey)), np.repeat(grey[:, :, None], 3, axis=2))
    bits = read_image(save(tmp_path / "1.png", np.array([[0, 255], [255, 0]], np.uint8), "1"))
    np.testing.assert_array_equal(bits[:, :, 1], [[0, 255], [255, 0]])


def test_palette_is_turned_into_its_colours(tmp_path: Path) -> None:
    image = PIL.Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "L").convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.save(tmp_path / "p.png")
    expected = [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [40, 50, 60]]]
    np.testing.assert_array_equal(read_image(tmp_path / "p.png"), expected)
    image.save(tmp_path / "t.png", transparency=1)
    assert read_image(tmp_path / "t.png")[0, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("alpha", "expected"), [(255, [100, 0, 0]), (0, [255, 255, 255]), (51, [224, 204, 204])])
def test_transparency_lies_on_white(tmp_path: Path, alpha: int, expected: list[int]) -> None:
    pixel = np.full((2, 2, 4), [100, 0, 0, alpha], np.uint8)
    np.testing.assert_allclose(read_image(save(tmp_path / "a.png", pixel))[0, 0], expected, atol=1)


def test_grey_with_transparency(tmp_path: Path) -> None:
    pixel = PIL.Image.merge("LA", (PIL.Image.new("L", (1, 2), 7), PIL.Image.new("L", (1, 2), 0)))
    pixel.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[255] * 3], [[255] * 3]]


def test_cmyk(tmp_path: Path) -> None:
    PIL.Image.new("CMYK", (3, 2), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg")[0, 0].tolist() == pytest.approx([255, 0, 0], abs=6)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_deep_greys_are_stretched_over_their_own_range(tmp_path: Path, dtype: Any) -> None:
    values = np.array([[1000, 2000], [3000, 3550]], dtype)
    path = save(tmp_path / "a.tif", values)
    expected = np.rint((values.astype(float) - 1000) * 255 / 2550)
    np.testing.assert_array_equal(read_image(path)[:, :, 0], expected)


def test_sixteen_bit_png(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[0, 65535], [257, 32768]], np.uint16))
    assert read_image(path)[:, :, 2].tolist() == [[0, 255], [1, 128]]


def test_constant_and_not_finite_deep_greys_are_black(tmp_path: Path) -> None:
    assert not read_image(save(tmp_path / "c.tif", np.full((2, 2), 7000, np.uint16))).any()
    assert not read_image(save(tmp_path / "n.tif", np.full((2, 2), np.nan, np.float32))).any()
    mixed = np.array([[np.nan, -3e38], [3e38, np.inf]], np.float32)
    assert read_image(save(tmp_path / "m.tif", mixed))[:, :, 0].tolist() == [[0, 0], [255, 0]]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = np.zeros((24, 40, 3), np.uint8)
    upright[:12, :20] = 200  # light in the upper left
    upright[:12, 20:] = 90
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"quality": 100} if suffix in ("jpg", "webp") else {}
    path = save(tmp_path / f"a.{suffix}", np.ascontiguousarray(stored), exif=exif.tobytes(), **options)
    image = read_image(path)
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright)[3:9, 3:17].max() < 20
    assert np.abs(image.astype(int) - upright)[3:9, 23:37].max() < 20
    assert read_image_size(path) == (24, 40)


def test_a_damaged_orientation_means_upright(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 99
    path = save(tmp_path / "a.png", COLOURS, exif=exif.tobytes())
    np.testing.assert_array_equal(read_image(path), COLOURS)


def test_info_reads_the_header_only(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros((50, 60), np.uint8))
    path.write_bytes(path.read_bytes()[:45])
    info = read_image_info(path)
    assert (info.size, info.mode, info.format) == ((50, 60), "L", "PNG")
    with pytest.raises(DataError, match=r"a\.png: the image is damaged or cut short"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp", "gif"])
def test_truncated_images_are_refused(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"cut.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"cut\.{suffix}: "):
        read_image(path)


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png: no such image file"):
        read_image(tmp_path / "none.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match=r"empty\.png: the image file is empty"):
        read_image(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("hello, this is no image")
    with pytest.raises(DataError, match=r"text\.png: not an image"):
        read_image(tmp_path / "text.png")
    with pytest.raises(DataError, match="damaged"):
        read_image(tmp_path)


def test_postscript_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(DataError, match="not an image"):
        read_image(tmp_path / "a.png")


def _huge_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_bombs_are_refused_before_decoding(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(_huge_png(50_000, 50_000))
    limit = PIL.Image.MAX_IMAGE_PIXELS
    with pytest.raises(DataError, match=r"bomb\.png: the image has 2500000000 pixels .* above the limit of 250000000"):
        read_image(tmp_path / "bomb.png")
    assert limit == PIL.Image.MAX_IMAGE_PIXELS
    path = save(tmp_path / "a.png", COLOURS)
    with pytest.raises(DataError, match="raise max_pixels"):
        read_image(path, max_pixels=34)
    assert read_image(path, max_pixels=35).shape == (5, 7, 3)


def test_the_limit_can_be_above_that_of_pillow(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_huge_png(15_000, 15_000))
    assert read_image_size(tmp_path / "a.png") == (15_000, 15_000)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "ppm"])
def test_damaged_bytes_give_an_image_or_a_data_error(tmp_path: Path, suffix: str) -> None:
    content = io.BytesIO()
    formats = {"jpg": "JPEG"}
    PIL.Image.fromarray(COLOURS).save(content, formats.get(suffix, suffix.upper()))
    path = tmp_path / f"a.{suffix}"
    dice, refusals = random.Random(0), []
    for _ in range(60):
        damaged = bytearray(content.getvalue())
        for _ in range(dice.choice([1, 3, 20])):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        try:
            assert read_image(path, max_pixels=10**6).shape[2] == 3
        except DataError as error:
            refusals.append(str(error))
    assert refusals
    assert all(message.startswith(str(path)) for message in refusals)
