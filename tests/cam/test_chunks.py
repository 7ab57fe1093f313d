"""Batches are cut by pixels."""

from __future__ import annotations

from wsl.cam.chunks import choose_batch_size


def test_batches_by_pixels() -> None:
    assert choose_batch_size((224, 224), on_cpu=True) == 4
    assert choose_batch_size((448, 448), on_cpu=True) == 1
    assert choose_batch_size((5000, 5000), on_cpu=True) == 1
    assert choose_batch_size((224, 224), on_cpu=False) == 128
