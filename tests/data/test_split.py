from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsl.data.split import is_declared, is_everything, split_samples
from wsl.errors import ConfigError, DataError
from wsl.types import Sample


def samples_of(labels: list[tuple[int, ...]]) -> list[Sample]:
    return [Sample(f"image{number}", Path("x"), class_ids) for number, class_ids in enumerate(labels)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([(), (1,), (2,), (3,)]), max_size=40), st.sampled_from([0.1, 0.2, 0.5]), st.integers(0, 9)
)
def test_split_is_stratified_complete_and_independent_of_order(
    labels: list[tuple[int, ...]], fraction: float, seed: int
) -> None:
    samples = samples_of(labels)
    train, val = (split_samples(samples, part, fraction) for part in ("train", "val"))
    assert sorted(sample.image_id for sample in train + val) == sorted(sample.image_id for sample in samples)
    for label in set(labels):
        total, held_out = labels.count(label), sum(sample.class_ids == label for sample in val)
        assert held_out == (0 if total == 1 else min(max(1, round(fraction * total)), total - 1))
    shuffled = random.Random(seed).sample(samples, len(samples))
    assert {sample.image_id for sample in split_samples(shuffled, "val", fraction)} == {s.image_id for s in val}


def test_the_smallest_digests_are_val() -> None:
    samples = samples_of([(1,)] * 10)
    order = sorted((sample.image_id for sample in samples), key=lambda name: hashlib.sha1(name.encode()).hexdigest())
    assert {sample.image_id for sample in split_samples(samples, "val", 0.3)} == set(order[:3])


def test_several_labels_count_for_the_rarest() -> None:
    # class 1 in six images, class 2 in two: the two with class 2 are a group of their own and give one to val
    samples = samples_of([(1,)] * 4 + [(1, 2)] * 2)
    val = split_samples(samples, "val", 0.01)
    assert sorted(sample.class_ids or () for sample in val) == [(1,), (1, 2)]


def test_unknown_labels_are_a_group() -> None:
    samples = [Sample(str(number), Path("x"), None) for number in range(5)]
    assert len(split_samples(samples, "val", 0.2)) == 1


def test_declared_or_drawn() -> None:
    assert is_everything(None)
    assert is_everything("all")
    assert not is_everything("val")
    assert is_declared("val", ["val", "train"], "x")
    assert is_declared("odd", ["odd"], "x")
    assert not is_declared("val", ["test"], "x")
    assert not is_declared("train", [], "x")
    with pytest.raises(DataError, match=r"root: there is no split 'val'; there are: train, all\."):
        is_declared("val", ["train"], "root")
    with pytest.raises(DataError, match=r"there are: default, train, val, all\."):
        is_declared("test", ["default"], "root")


def test_bad_arguments() -> None:
    for fraction in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="val_fraction"):
            split_samples([], "val", fraction)
    with pytest.raises(ConfigError, match="expected train or val, but got 'test'"):
        split_samples([], "test")
