from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from wsl.refine.crf import scratch
from wsl.refine.crf.scratch import WordPool, borrow_words


@pytest.fixture(autouse=True)
def empty_pool() -> None:
    WordPool._free.clear()


def test_a_thread_gets_its_own_memory_again() -> None:
    words = borrow_words(100)
    assert len(words) >= 100
    assert np.shares_memory(borrow_words(50), words)
    with ThreadPoolExecutor(1) as pool:
        assert not np.shares_memory(pool.submit(borrow_words, 50).result(), words)


def test_memory_is_given_out_once_and_the_smallest_that_fits() -> None:
    owner = WordPool()
    large, small = owner.take(1000), owner.take(500)
    assert not np.shares_memory(large, small)
    owner.close()
    other = WordPool()
    assert other.take(400) is small
    assert other.take(400) is large
    assert not any(np.shares_memory(other.take(400), words) for words in (small, large))


def test_few_and_no_huge_pieces_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "POOLED_WORDS", 50)
    owner = WordPool()
    for _ in range(3 * scratch.KEPT_POOLED):
        owner.take(50)
    owner.take(51)
    owner.close()
    assert [len(words) for words in WordPool._free] == [50] * scratch.KEPT_POOLED


def test_memory_given_back_while_some_is_taken() -> None:
    """The garbage collector closes a pool whenever it likes, in the thread that is just taking from it too."""

    class Owner:
        def __init__(self) -> None:
            self.pool, self.itself = WordPool(), self
            self.pool.take(10)

        def __del__(self) -> None:
            self.pool.close()

    def work() -> None:
        for _ in range(300):
            Owner()

    previous = gc.get_threshold()
    gc.set_threshold(1)
    try:
        workers = [threading.Thread(target=work, daemon=True) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=30)
        assert not any(worker.is_alive() for worker in workers)
    finally:
        gc.set_threshold(*previous)
    kept = list(WordPool._free)
    assert not any(np.shares_memory(one, two) for index, one in enumerate(kept) for two in kept[:index])
