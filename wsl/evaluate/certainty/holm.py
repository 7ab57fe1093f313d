"""Many tests at once: Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence


def correct_holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values so corrected that the chance of any false alarm stays below the level (Holm, Scand. J. Stat. 1979).

    The k-th smallest of m is multiplied by m - k + 1, never falls below the one before and stays at most 1. None
    (no test) stays None and does not count in m.
    """
    ranked = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (value, place) in enumerate(ranked):
        highest = max(highest, min(1.0, value * (len(ranked) - rank)))
        corrected[place] = highest
    return corrected
