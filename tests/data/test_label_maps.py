from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.data_rle import voc_colour
from wsl.data.label_maps import palette_colours, read_label_map, read_mask, write_label_map
from wsl.errors import DataError

IDS = np.array([[0, 1, 20], [255, 3, 254]], np.uint8)


def test_palette_is_vocs() -> None:
    colours = palette_colours()
    assert [tuple(int(part) for part in colour) for colour in colours] == [voc_colour(i) for i in range(256)]
    assert colours[1].tolist() == [128, 0, 0]
    assert colours[255].tolist() == [224, 224, 192]
    assert palette_colours(21).shape == (21, 3)
    with pytest.raises(DataError, match=r"1\.\.256"):
        palette_colours(257)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 1000))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, height: int, width: int, seed: int) -> None:
    label_map = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    path = tmp_path_factory.mktemp("maps") / "a" / "b.png"
    write_label_map(path, label_map)
    np.testing.assert_array_equal(read_label_map(path), label_map)
    first = path.read_bytes()
    write_label_map(path, label_map)
    assert path.read_bytes() == first


def test_written_file_is_a_palette_png(tmp_path: Path) -> None:
    write_label_map(tmp_path / "a.png", IDS)
    image = PIL.Image.open(tmp_path / "a.png")
    assert image.mode == "P"
    assert image.getpalette() == palette_colours().ravel().tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_write_refuses_what_is_no_label_map(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected uint8"):
        write_label_map(tmp_path / "a.png", IDS.astype(np.int64))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="at least one pixel"):
        write_label_map(tmp_path / "a.png", IDS[:0])
    assert not list(tmp_path.iterdir())


def test_grey_sixteen_bit_and_one_bit(tmp_path: Path) -> None:
    PIL.Image.fromarray(IDS).save(tmp_path / "l.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "l.png"), IDS)
    PIL.Image.fromarray(IDS.astype(np.uint16)).save(tmp_path / "i.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "i.png"), IDS)
    PIL.Image.fromarray(IDS[:, :2] == 1).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "1.png"), [[0, 1], [0, 0]])


@pytest.mark.parametrize(("bits", "top"), [(1, 2), (2, 4), (4, 16)])
def test_few_bits_keep_their_indices(tmp_path: Path, bits: int, top: int) -> None:
    values = np.arange(top, dtype=np.uint8)[None]
    palette = PIL.Image.fromarray(values)
    palette.putpalette(palette_colours(top).tobytes())
    palette.save(tmp_path / "p.png", bits=bits)
    np.testing.assert_array_equal(read_label_map(tmp_path / "p.png"), values)


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_of_few_bits_is_not_spread(tmp_path: Path, bits: int) -> None:
    values = np.arange(2**bits, dtype=np.uint8)
    path = tmp_path / "g.png"
    path.write_bytes(_grey_png(values, bits))
    np.testing.assert_array_equal(read_label_map(path), values[None])


def _grey_png(values: np.ndarray, bits: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    text = "".join(format(int(value), f"0{bits}b") for value in values)
    row = bytes(int(text[start : start + 8].ljust(8, "0"), 2) for start in range(0, len(text), 8))
    header = struct.pack(">IIBBBBB", len(values), 1, bits, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_voc_colours_are_decoded_and_others_refused(tmp_path: Path) -> None:
    colours = palette_colours()[IDS]
    PIL.Image.fromarray(colours).save(tmp_path / "c.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "c.png"), IDS)
    opaque = np.dstack([colours, np.full(IDS.shape, 255, np.uint8)])
    PIL.Image.fromarray(opaque).save(tmp_path / "o.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "o.png"), IDS)
    colours[0, 1] = (129, 0, 0)
    PIL.Image.fromarray(colours).save(tmp_path / "w.png")
    with pytest.raises(DataError, match=r"w\.png: a colour picture, and its colour \(129, 0, 0\)"):
        read_label_map(tmp_path / "w.png")
    opaque[0, 0, 3] = 0
    PIL.Image.fromarray(opaque).save(tmp_path / "t.png")
    with pytest.raises(DataError, match="transparent"):
        read_label_map(tmp_path / "t.png")


def test_bad_label_maps_are_refused(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.full((2, 2), 300, np.uint16)).save(tmp_path / "big.png")
    with pytest.raises(DataError, match=r"big\.png: expected label values in 0\.\.255, but found 300\.\.300"):
        read_label_map(tmp_path / "big.png")
    PIL.Image.fromarray(IDS).save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="JPEG changes label values"):
        read_label_map(tmp_path / "a.jpg")
    PIL.Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(DataError, match="its mode is F"):
        read_label_map(tmp_path / "f.tif")
    with pytest.raises(DataError, match="no such image file"):
        read_label_map(tmp_path / "none.png")


def test_read_mask(tmp_path: Path) -> None:
    expected = np.array([[False, True], [True, False]])
    PIL.Image.fromarray(expected).save(tmp_path / "1.png")
    PIL.Image.fromarray(expected.astype(np.uint8) * 255).save(tmp_path / "l.png")
    PIL.Image.fromarray(expected.astype(np.uint16) * 256).save(tmp_path / "i.png")
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[:, :, 3] = 255
    rgba[expected, 2] = 9
    PIL.Image.fromarray(rgba).save(tmp_path / "rgba.png")
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(read_mask(path), expected)


def test_real_voc_maps(real_data: Path) -> None:
    for path in sorted((real_data / "data" / "voc12_masks").glob("*.png"))[:40]:
        np.testing.assert_array_equal(read_label_map(path), np.array(PIL.Image.open(path)))
        assert set(np.unique(read_label_map(path))) <= {*range(21), 255}
