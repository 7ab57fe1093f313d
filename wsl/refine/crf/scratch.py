"""Memory that is kept from one image to the next: fresh memory is given page by page, slowly, one thread at a time."""

from __future__ import annotations

import threading
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

KEPT_WORDS = 2**24  # 128 MB, of which only what is used takes memory: for images up to 640x480; more is new each time
KEPT_POOLED = 4

_of_thread = threading.local()


def borrow_words(count: int) -> NDArray[np.uint64]:
    """At least `count` words, uint64, with anything in them; the same memory whenever this thread asks.

    So only one piece of work of a thread may use them at a time.
    """
    kept: NDArray[np.uint64] | None = getattr(_of_thread, "words", None)
    if kept is not None and len(kept) >= count:
        return kept
    words = np.empty(count, np.uint64)
    if count <= KEPT_WORDS:
        _of_thread.words = words
    return words


class WordPool:
    """What one owner takes of the memory that earlier owners have given back; `close` gives it back for the next."""

    _lock = threading.Lock()
    _free: ClassVar[list[NDArray[np.uint64]]] = []

    def __init__(self) -> None:
        self._taken: list[NDArray[np.uint64]] = []

    def take(self, count: int) -> NDArray[np.uint64]:
        """At least `count` words, with anything in them, nobody else's until `close`."""
        with self._lock:
            fitting = [place for place, words in enumerate(self._free) if len(words) >= count]
            words = self._free.pop(fitting[0]) if fitting else np.empty(count, np.uint64)
        self._taken.append(words)
        return words

    def close(self) -> None:
        """Nothing that was made of the words may be used any more."""
        with self._lock:
            self._free.extend(words for words in self._taken if len(words) <= KEPT_WORDS)
            del self._free[:-KEPT_POOLED]
            self._taken.clear()
