"""Mean field over the labels of one image, given what each lattice says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import numpy as np

from wsl.refine.crf.kernels import Floats
from wsl.refine.crf.lattice import Lattice, add_filtered


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
        base = -energies
        for term in terms:
            base[-1] += np.float32(term.gain) * term.lattice.row_sums
        step = partial(_step_compiled, base, terms, loops, np.empty_like(base[:-1]))
    else:
        step = partial(_step, energies, terms, loops)
    current = compute_softmax(-energies)
    following = np.empty_like(current)
    for _ in range(iterations):
        step(current, following)
        current, following = following, current
        if tolerance > 0 and np.abs(following - current).mean() < tolerance:
            break
    return current


def _step(
    energies: Floats, terms: Sequence[Term], loops: ModuleType | None, current: Floats, following: Floats
) -> None:
    """One step from Q to the next, into `following`."""
    following[:] = compute_softmax(_compute_messages(current, terms, loops) - energies)


def _step_compiled(
    base: Floats, terms: Sequence[Term], loops: ModuleType, messages: Floats, current: Floats, following: Floats
) -> None:
    """The same where all terms are Potts, so that only the sum of their messages counts.

    base: float32 (L, N), the logits without messages, those of the last label with all that the messages sum to.
    messages: float32 (L - 1, N), room for them.
    """
    messages[:] = 0
    for term in terms:
        add_filtered(term.lattice, current[:-1], float(term.gain), messages, loops)
    loops.normalise_labels(base, messages, following)


def _compute_messages(current: Floats, terms: Sequence[Term], loops: ModuleType | None) -> Floats:
    """What all terms add to the logits. Q sums to 1, so the last label is known from the others and the row sums."""
    messages = np.zeros_like(current)
    for term in terms:
        filtered = np.zeros_like(current)
        add_filtered(term.lattice, current[:-1], 1.0, filtered[:-1], loops)
        filtered[-1] = term.lattice.row_sums - filtered[:-1].sum(axis=0)
        messages += term.gain * filtered if isinstance(term.gain, float) else term.gain @ filtered
    return messages
