"""Runs side by side: every score of each run, and how surely it differs from that of the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.paired import PairedDifference, correct_family, paired_class_tests, paired_test
from wsl.evaluate.certainty.pairing import align
from wsl.evaluate.certainty.spread import Spread, spread
from wsl.evaluate.certainty.tables import Measured, Values
from wsl.evaluate.result import to_optional

Run = tuple[str, Mapping[str, Measured]]


@dataclass(frozen=True)
class RunRow:
    """One score of one run, of the whole (`class_id` None) or of a class.

    `value` is the mean over the seeds of the run, `seeds` their spread. `difference` is against the first run, None
    for that one itself; its `corrected_p` is Holm's over all dataset-level tests of the comparison, for classes over
    all classes and runs of the score. `significant` is corrected_p <= 1 - level, None without a test.
    """

    score: str
    class_id: int | None
    run: str
    value: float | None
    seeds: Spread
    difference: PairedDifference | None = None
    significant: bool | None = None


@dataclass(frozen=True, eq=False)
class SeedMean:
    """Mean score of runs that differ in the seed alone, over the same images in the same order."""

    tables: tuple[Measured, ...]

    @property
    def kind(self) -> str:
        """Kind of the tables."""
        return self.tables[0].kind

    @property
    def image_ids(self) -> tuple[str, ...]:
        """Images of the tables."""
        return self.tables[0].image_ids

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Classes of the tables."""
        return self.tables[0].class_ids

    def simplify(self) -> Measured:
        """The table itself where there is one seed: its images can then be swapped with those of another."""
        return self.tables[0] if len(self.tables) == 1 else self

    def measure(self, weights: ArrayLike) -> Values:
        """Mean of the scores, float64 (B,)."""
        return np.mean([table.measure(weights) for table in self.tables], axis=0)

    def measure_classes(self, weights: ArrayLike) -> Values:
        """Mean of the scores of each class, float64 (B, C)."""
        return np.mean([table.measure_classes(weights) for table in self.tables], axis=0)

    def settings(self) -> dict[str, Any]:
        """Settings of the tables."""
        return self.tables[0].settings()

    def select(self, positions: NDArray[np.intp]) -> SeedMean:
        """Of the images at `positions` alone."""
        return SeedMean(tuple(table.select(positions) for table in self.tables))

    def truth(self) -> NDArray[np.int64] | None:
        """Ground truth of the tables."""
        return self.tables[0].truth()

    def for_swapping(self) -> None:
        """None: the seeds of two runs have no partners; the bootstrap tests the difference of their means."""


def compare_tables(
    runs: Sequence[Run],
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    method: str = "percentile",
    images: str = "same",
    classes: bool = True,
) -> list[RunRow]:
    """Rows of every score that all runs have, in the order of the first: of the whole, then (`classes`) of each class.

    `runs` are (name, score name -> table). Runs of the same name are seeds of one configuration: their mean is
    compared, its interval is over images at these very seeds, and `seeds` holds mean and standard deviation over them.
    Options as in `paired_test`. ConfigError for fewer than two names or no common score; DataError and ConfigError as
    in `paired_test`, naming score and run.
    """
    groups = _group(runs)
    options = {"replicates": replicates, "level": level, "seed": seed, "method": method}
    whole: list[RunRow] = []
    by_class: dict[str, list[RunRow]] = {}
    for score in _find_common([tables for members in groups.values() for tables in members]):
        tables = _align(score, groups, images)
        whole += _compare(score, tables, options)
        by_class[score] = _correct(_compare_classes(score, tables, options), level) if classes else []
    whole = _correct(whole, level)
    return [row for score in by_class for row in [*(one for one in whole if one.score == score), *by_class[score]]]


def _group(runs: Sequence[Run]) -> dict[str, list[Mapping[str, Measured]]]:
    groups: dict[str, list[Mapping[str, Measured]]] = {}
    for name, tables in runs:
        groups.setdefault(name, []).append(tables)
    if len(groups) < 2:
        raise ConfigError(f"Expected two or more runs of different names to compare, but got {sorted(groups)}.")
    return groups


def _find_common(tables: Sequence[Mapping[str, Measured]]) -> list[str]:
    common = [name for name in tables[0] if all(name in other for other in tables)]
    if not common:
        shown = "; ".join(", ".join(other) or "none" for other in tables)
        raise ConfigError(f"The runs have no score in common: {shown}.")
    return common


def _align(score: str, groups: Mapping[str, list[Mapping[str, Measured]]], images: str) -> dict[str, SeedMean]:
    """Run -> its seeds, all over the same images."""
    owners = [run for run, members in groups.items() for _ in members]
    every = [tables[score] for members in groups.values() for tables in members]
    try:
        aligned = align(every, images)
    except (ConfigError, DataError) as error:
        raise type(error)(f"{score}: {error}") from None
    return {
        run: SeedMean(tuple(table for table, owner in zip(aligned, owners, strict=True) if owner == run))
        for run in groups
    }


def _compare(score: str, tables: Mapping[str, SeedMean], options: Mapping[str, Any]) -> list[RunRow]:
    first, *_ = tables.values()
    rows = []
    for run, table in tables.items():
        every = np.ones((1, len(table.image_ids)))
        values = [float(seed.measure(every)[0]) for seed in table.tables]
        difference = None if table is first else paired_test(first.simplify(), table.simplify(), **options)
        rows.append(RunRow(score, None, run, to_optional(float(np.mean(values))), spread(values), difference))
    return rows


def _compare_classes(score: str, tables: Mapping[str, SeedMean], options: Mapping[str, Any]) -> list[RunRow]:
    """Class by class, within a class run by run."""
    first, *_ = tables.values()
    columns: dict[str, list[RunRow]] = {}
    for run, table in tables.items():
        every = np.ones((1, len(table.image_ids)))
        values = np.concatenate([seed.measure_classes(every) for seed in table.tables])
        tests = {} if table is first else paired_class_tests(first.simplify(), table.simplify(), **options)
        columns[run] = [
            RunRow(score, class_id, run, to_optional(float(column.mean())), spread(list(column)), tests.get(class_id))
            for class_id, column in zip(table.class_ids, values.T, strict=True)
        ]
    return [row for rows in zip(*columns.values(), strict=True) for row in rows]


def _correct(rows: list[RunRow], level: float) -> list[RunRow]:
    """The rows with Holm's correction over all their tests."""
    tested = [place for place, row in enumerate(rows) if row.difference is not None]
    corrected = correct_family([row.difference for row in rows if row.difference is not None])
    result = list(rows)
    for place, test in zip(tested, corrected, strict=True):
        significant = None if test.corrected_p is None else test.corrected_p <= 1 - level
        result[place] = replace(rows[place], difference=test, significant=significant)
    return result
