"""Rank correlations and risk-coverage curves from their definitions, over pairs and over all orders of ties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, permutations


def kendall(first: Sequence[float], second: Sequence[float]) -> float | None:
    """tau-b: (concordant - discordant) / sqrt(pairs untied in first * pairs untied in second)."""
    concordant = discordant = untied_first = untied_second = 0
    for i, j in combinations(range(len(first)), 2):
        a, b = first[i] - first[j], second[i] - second[j]
        concordant += (a > 0 and b > 0) or (a < 0 and b < 0)
        discordant += (a > 0 and b < 0) or (a < 0 and b > 0)
        untied_first += a != 0
        untied_second += b != 0
    if not untied_first or not untied_second:
        return None
    return (concordant - discordant) / math.sqrt(untied_first * untied_second)


def ranks(values: Sequence[float]) -> list[float]:
    """1 + how many are smaller + half of the others that are equal."""
    return [1 + sum(o < v for o in values) + (sum(o == v for o in values) - 1) / 2 for v in values]


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's correlation of the ranks."""
    a, b = ranks(first), ranks(second)
    mean = (len(a) + 1) / 2
    scale = math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    return sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True)) / scale if scale else None


def quality_of_best(confidence: Sequence[float], quality: Sequence[float]) -> list[float]:
    """Mean quality of the 1, 2, ... most confident, averaged over every order that falls in confidence."""
    count = len(confidence)
    orders = [
        order
        for order in permutations(range(count))
        if all(confidence[order[i]] >= confidence[order[i + 1]] for i in range(count - 1))
    ]
    kept = [[sum(quality[i] for i in order[:n]) / n for n in range(1, count + 1)] for order in orders]
    return [sum(row[n] for row in kept) / len(kept) for n in range(count)]
