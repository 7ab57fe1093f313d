from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from wsl.errors import DataError
from wsl.evaluate.localization.pixel_protocols import PIXEL_PROTOCOLS
from wsl.evaluate.wsol.masks import WsolMasks
from wsl.evaluate.wsol.metadata import MaskPaths, WsolMetadata
from wsl.types import Box

ORIGINAL, PUBLISHED = PIXEL_PROTOCOLS["original"], PIXEL_PROTOCOLS["wsolevaluation"]


def describe(masks: dict[str, MaskPaths]) -> WsolMetadata:
    return WsolMetadata(Path("meta"), tuple(masks), dict.fromkeys(masks, 1), {}, {}, masks, ())


def write_masks(folder: Path, highest: int = 255, size: tuple[int, int] = (30, 41)) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    masks = {name: generator.random(size) < 0.3 for name in ("m1", "m2", "ignore")}
    for name, mask in masks.items():
        cv2.imwrite(str(folder / f"{name}.png"), mask.astype(np.uint8) * highest)
    return masks


PATHS = {"a": MaskPaths(("m1.png", "m2.png"), "ignore.png"), "b": MaskPaths(("m1.png",), None)}


@pytest.mark.parametrize("highest", [1, 255])
def test_instances_are_joined_and_not_ignored(tmp_path: Path, highest: int) -> None:
    files = write_masks(tmp_path, highest)
    masks = WsolMasks(describe(PATHS), tmp_path, ORIGINAL)
    for _ in range(2):  # decoded, remembered
        mask, ignore = masks.read("a")
        np.testing.assert_array_equal(mask, files["m1"] | files["m2"])
        np.testing.assert_array_equal(ignore, files["ignore"] & ~files["m1"] & ~files["m2"])
        mask, ignore = masks.read("b")
        np.testing.assert_array_equal(mask, files["m1"])
        assert ignore is None


def test_on_the_224_grid_as_published(tmp_path: Path) -> None:
    write_masks(tmp_path)

    def load(name: str) -> np.ndarray:
        values = cv2.imread(str(tmp_path / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        return cv2.resize(values, (224, 224), interpolation=cv2.INTER_NEAREST) > 0.5

    mask, ignore = WsolMasks(describe(PATHS), tmp_path, PUBLISHED).read("a")
    expected = load("m1") | load("m2")
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(ignore, load("ignore") & ~expected)


def test_files_are_read_once_while_the_limit_lasts(tmp_path: Path) -> None:
    write_masks(tmp_path)
    size = 2 * -(-30 * 41 // 8)  # two masks, packed
    masks, short = (WsolMasks(describe(PATHS), tmp_path, ORIGINAL, limit) for limit in (size, size - 1))
    kept, _ = masks.read("a")
    short.read("a")
    for file in tmp_path.iterdir():
        file.unlink()
    np.testing.assert_array_equal(masks.read("a")[0], kept)
    with pytest.raises(DataError, match=r"m1\.png: no such image file"):
        short.read("a")


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    write_masks(tmp_path)
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((3, 3), np.uint8))
    masks = WsolMasks(describe({"a": MaskPaths(("m1.png", "small.png"), None)}), tmp_path, ORIGINAL)
    with pytest.raises(DataError, match=r"small\.png: the mask is \(3, 3\) but another one of the image \(30, 41\)"):
        masks.read("a")
    with pytest.raises(DataError, match="no such folder; expected the true masks"):
        WsolMasks(describe(PATHS), tmp_path / "none", ORIGINAL)
    boxes = WsolMetadata(Path("meta"), ("a",), {"a": 1}, {}, {"a": (Box((0, 0, 1, 1), 1),)}, {}, ())
    with pytest.raises(DataError, match=r"localization\.txt: expected masks, but it lists boxes"):
        WsolMasks(boxes, tmp_path, ORIGINAL)


def test_real_masks_on_the_224_grid(real_data: Path) -> None:
    root = real_data / "data" / "magnetic_tile" / "masks"
    files = sorted(root.rglob("*.png"))[::25]
    paths = {file.stem: MaskPaths((file.relative_to(root).as_posix(),), None) for file in files}
    masks = WsolMasks(describe(paths), root, PUBLISHED)
    for file in files:
        values = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        expected = cv2.resize(values, (224, 224), interpolation=cv2.INTER_NEAREST) > 0.5
        np.testing.assert_array_equal(masks.read(file.stem)[0], expected)
    assert any(masks.read(name)[0].any() for name in paths)  # tiles without a defect have empty masks
