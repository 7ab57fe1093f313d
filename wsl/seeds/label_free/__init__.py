"""Thresholds chosen without ground truth: one rule per file, all thresholds judged in one pass over the images."""

from wsl.seeds.label_free import area_prior, colour_contrast, normalised_cut, otsu, otsu_per_image, scale_agreement
from wsl.seeds.label_free.choosing import DEFAULT_RULE, LabelFree, LabelFreeChoice
from wsl.seeds.label_free.rule import LABEL_FREE_RULES

__all__ = [
    "DEFAULT_RULE",
    "LABEL_FREE_RULES",
    "LabelFree",
    "LabelFreeChoice",
    "area_prior",
    "colour_contrast",
    "normalised_cut",
    "otsu",
    "otsu_per_image",
    "scale_agreement",
]
