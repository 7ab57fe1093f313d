"""Scores or seeds + image to finer class evidence. Importing the package files every method in `REFINERS`."""

from wsl.refine import dense_crf, none, pamr, random_walk, region_grow

__all__ = ["dense_crf", "none", "pamr", "random_walk", "region_grow"]
