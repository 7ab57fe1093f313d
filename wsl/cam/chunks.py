"""How many images go through the network at once when there are many of them to score."""

from __future__ import annotations

CPU_PIXELS, GPU_PIXELS = 4 * 224 * 224, 128 * 224 * 224  # per forward pass


def choose_batch_size(size: tuple[int, int], on_cpu: bool) -> int:
    """Images of `size` (height, width) per forward pass: on a CPU larger batches only move more memory."""
    return max(1, (CPU_PIXELS if on_cpu else GPU_PIXELS) // (size[0] * size[1]))
