"""Mean field over the labels of one image, given what each lattice says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from wsl.refine.crf.kernels import Floats
from wsl.refine.crf.lattice import Lattice, add_filtered

FARTHEST = np.float32(1.5e38)  # logits may be that far apart, so that the difference of two distances is a number


@dataclass(frozen=True, eq=False)
class Term:
    """One pairwise term: its lattice, and `gain`, what a neighbour's label adds to the logits.

    gain: a number w (Potts: w for the same label) or float32 (L, L), see `Kernel.compute_gain`.
    """

    lattice: Lattice
    gain: float | Floats


def compute_softmax(logits: Floats) -> Floats:
    """exp(logits) (L, N) over its sum along the labels."""
    powers: Floats = np.exp(logits - logits.max(axis=0))
    powers /= powers.sum(axis=0)
    return powers


def run_mean_field(
    energies: Floats, terms: Sequence[Term], iterations: int, tolerance: float, loops: ModuleType | None
) -> Floats:
    """Q float32 (L, N) of energies (L, N), L >= 2, after some steps Q <- softmax(-energies + messages(Q)).

    Stops early when mean |dQ| of a step falls below `tolerance`.
    """
    if loops is not None and all(isinstance(term.gain, float) for term in terms):
        return _run_potts(energies, terms, iterations, tolerance, loops)
    current = compute_softmax(-energies)
    following = np.empty_like(current)
    for _ in range(iterations):
        following[:] = compute_softmax(_compute_messages(current, terms, loops) - energies)
        current, following = following, current
        if tolerance > 0 and np.abs(following - current).mean() < tolerance:
            break
    return current


def _run_potts(energies: Floats, terms: Sequence[Term], iterations: int, tolerance: float, loops: ModuleType) -> Floats:
    """The same where all terms are Potts, so that only the sum of their messages counts.

    Q of the last label, and its logit, follow from those of the others: only these L - 1 are computed until the end.
    """
    with np.errstate(over="ignore"):
        apart = np.clip(energies[-1] - energies[:-1], -FARTHEST, FARTHEST)
    messages, current, following = np.zeros_like(apart), np.empty_like(apart), np.empty_like(apart)
    normalise = loops.normalise_two if len(apart) == 1 else loops.normalise_labels
    normalise(apart, messages, current)
    if iterations > 0:
        for term in terms:
            apart -= np.float32(term.gain) * term.lattice.row_sums
    for _ in range(iterations):
        messages[:] = 0
        for term in terms:
            add_filtered(term.lattice, current, float(term.gain), messages, loops)
        normalise(apart, messages, following)
        current, following = following, current
        if tolerance > 0 and _measure_change(current - following) < tolerance:
            break
    result = np.empty_like(energies)
    loops.normalise_labels(apart, messages, result)
    return result


def _measure_change(change: Floats) -> float:
    """Mean |dQ| of all labels, the last of which changes by less the sum of the others (L - 1, N)."""
    return float(np.abs(change).mean(1).sum() + np.abs(change.sum(0)).mean()) / (len(change) + 1)


def _compute_messages(current: Floats, terms: Sequence[Term], loops: ModuleType | None) -> Floats:
    """What all terms add to the logits. Q sums to 1, so the last label is known from the others and the row sums."""
    messages = np.zeros_like(current)
    for term in terms:
        filtered = np.zeros_like(current)
        add_filtered(term.lattice, current[:-1], 1.0, filtered[:-1], loops)
        filtered[-1] = term.lattice.row_sums - filtered[:-1].sum(axis=0)
        messages += term.gain * filtered if isinstance(term.gain, float) else term.gain @ filtered
    return messages
