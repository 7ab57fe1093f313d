"""Scores or seeds + image to finer class evidence. Importing the package files every method in `REFINERS`."""

from wsl.refine import (
    dense_crf,
    grab_cut,
    guided_filter,
    none,
    pamr,
    par,
    random_walk,
    random_walker,
    region_grow,
    superpixels,
)

__all__ = [
    "dense_crf",
    "grab_cut",
    "guided_filter",
    "none",
    "pamr",
    "par",
    "random_walk",
    "random_walker",
    "region_grow",
    "superpixels",
]
