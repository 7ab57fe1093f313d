"""Memory that is kept from one image to the next: fresh memory is given page by page, slowly, one thread at a time."""

from __future__ import annotations

import threading
from collections import deque
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

KEPT_WORDS = 2**24  # 128 MB a thread, for images up to 0.7 million pixels; what is larger is new each time
POOLED_WORDS = 2**23  # 64 MB: two pieces of a lattice of up to a million pixels and vertices
KEPT_POOLED = 8

_of_thread = threading.local()


def borrow_words(count: int) -> Words:
    """At least `count` words, uint64, with anything in them; the same memory whenever this thread asks.

    So only one piece of work of a thread may use them at a time.
    """
    kept: Words | None = getattr(_of_thread, "words", None)
    if kept is not None and len(kept) >= count:
        return kept
    words = np.empty(count, np.uint64)
    if count <= KEPT_WORDS:
        _of_thread.words = words
    return words


class WordPool:
    """What one owner takes of the memory that earlier owners have given back; `close` gives it back for the next.

    No lock: `close` may be called in the midst of `take`, by the garbage collector, and would wait for its own thread.
    Taking from a deque and giving to it are steps that no other thread sees half done.
    """

    _free: ClassVar[deque[Words]] = deque(maxlen=KEPT_POOLED)

    def __init__(self) -> None:
        self._taken: list[Words] = []

    def take(self, count: int) -> Words:
        """At least `count` words, with anything in them, nobody else's until `close`."""
        found = sorted(self._empty_pool(), key=len)
        place = next((place for place, words in enumerate(found) if len(words) >= count), None)
        words = np.empty(count, np.uint64) if place is None else found.pop(place)
        self._free.extend(found)
        self._taken.append(words)
        return words

    def _empty_pool(self) -> list[Words]:
        found: list[Words] = []
        while len(found) < KEPT_POOLED:
            try:
                found.append(self._free.pop())
            except IndexError:
                break
        return found

    def close(self) -> None:
        """Nothing that was made of the words may be used any more."""
        while self._taken:
            words = self._taken.pop()
            if len(words) <= POOLED_WORDS:
                self._free.append(words)
