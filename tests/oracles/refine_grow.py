"""DSRG's seeded region growing as its authors run it: cue planes for each class, pixel by pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.oracles.localize_components import flood_components


def grow(
    seeds: NDArray[np.intp], probabilities: NDArray[np.float32], foreground: float, background: float
) -> NDArray[np.intp]:
    """Seeds (H, W), -1 for none, grown on probabilities (L, H, W), background first; channel numbers or -1.

    The label map starts from the cues and takes a pixel's best class where its probability is above the threshold of
    that class. A component of a class is accepted if one of its pixels is a cue of the class; pixels of it that are
    the cue of another class are struck out; what is left joins the cues.
    """
    channels = range(len(probabilities))
    cues = np.stack([seeds == channel for channel in channels])
    label_map = seeds.copy()
    for y, x in np.ndindex(*seeds.shape):
        best = int(np.argmax(probabilities[:, y, x]))
        value = probabilities[best, y, x]
        if value > np.float32(background if best == 0 else foreground):
            label_map[y, x] = best
    for channel in channels:
        for component in flood_components(label_map == channel, 8):
            accepted = any(cues[channel][place] for place in component)
            for place in component:
                struck = not cues[channel][place] and cues[:, place[0], place[1]].sum() == 1
                if accepted and not struck:
                    cues[channel][place] = True
    assert cues.sum(axis=0).max() <= 1
    return np.where(cues.any(axis=0), cues.argmax(axis=0), -1)
