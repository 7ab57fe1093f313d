from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import wsl.train.images as train_images
from wsl.train.images import ImageStore, load_batches
from wsl.types import Sample


def write_images(folder: Path, *sizes: tuple[int, int]) -> list[Sample]:
    samples = []
    for number, (height, width) in enumerate(sizes):
        path = folder / f"{number}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(path)
        samples.append(Sample(str(number), path, (1,)))
    return samples


@pytest.mark.parametrize(
    ("resize", "sizes"), [("stretch", [(20, 20), (1, 7), (20, 5)]), ("crop", [(20, 40), (1, 7), (30, 5)])]
)
def test_images_are_kept_at_working_size(tmp_path: Path, resize: str, sizes: list[tuple[int, int]]) -> None:
    store = ImageStore(write_images(tmp_path, (30, 60), (1, 7), (30, 5)), 20, resize)
    assert [store.read(index).shape[:2] for index in range(3)] == sizes  # type: ignore[union-attr]


def test_an_image_is_decoded_once_while_memory_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Path] = []
    original = train_images.read_image
    monkeypatch.setattr(train_images, "read_image", lambda path: decoded.append(path) or original(path))
    store = ImageStore(write_images(tmp_path, (8, 8), (8, 8)), 8, "stretch", keep_bytes=8 * 8 * 3)
    first = [store.read(index) for index in (0, 1, 0, 1)]
    assert [path.name for path in decoded] == ["0.png", "1.png", "1.png"]
    assert np.array_equal(first[1], first[3])  # type: ignore[arg-type]


def test_an_unreadable_image_is_remembered_not_raised(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    store = ImageStore([Sample("bad", tmp_path / "bad.png", (1,))], 8, "stretch")
    assert store.read(0) is None
    assert store.read(0) is None
    assert list(store.failures) == ["bad"]
    assert "bad.png" in store.failures["bad"]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_order_without_the_failed(workers: int) -> None:
    def prepare(index: int) -> np.ndarray | None:
        return None if index == 3 else np.full((2, 2, 3), index, np.uint8)

    found = [
        (kept, images[:, :1, :1, :1].ravel().tolist())
        for kept, images in load_batches([[0, 1], [3], [2, 3, 4]], prepare, workers)
    ]
    assert found == [([0, 1], [0, 1]), ([], []), ([2, 4], [2, 4])]


def test_few_batches_are_prepared_ahead() -> None:
    started: set[int] = set()
    lock = threading.Lock()

    def prepare(index: int) -> np.ndarray:
        with lock:
            started.add(index)
        return np.zeros((1, 1, 3), np.uint8)

    batches = load_batches([[index] for index in range(100)], prepare, 2)
    next(batches)
    assert len(started) <= 1 + train_images.BATCHES_AHEAD
    batches.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_ours_is_not_swallowed(workers: int) -> None:
    def fail(index: int) -> np.ndarray:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(load_batches([[0]], fail, workers))
