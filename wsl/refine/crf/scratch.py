"""Working memory that each thread keeps between images."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

KEPT_WORDS = 2**23  # 64 MB a thread: enough for an image of 500x375; more is allocated anew each time

_of_thread = threading.local()


def borrow_words(count: int) -> NDArray[np.uint64]:
    """At least `count` words, uint64, with anything in them; the same memory whenever this thread asks.

    So only one piece of work of a thread may use them at a time. Fresh memory is given page by page, which takes longer
    than filling it, and threads wait for each other at it.
    """
    kept: NDArray[np.uint64] | None = getattr(_of_thread, "words", None)
    if kept is not None and len(kept) >= count:
        return kept
    words = np.empty(count, np.uint64)
    if count <= KEPT_WORDS:
        _of_thread.words = words
    return words
