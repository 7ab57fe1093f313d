"""Evidence to label maps with 255: one label rule per file, then corrections. Importing it files every rule."""

from wsl.seeds.rules import argmax, class_thresholds, relative, sec_cues, two_alpha, two_threshold
from wsl.seeds.rules.cleaning import NO_CLEANING, Cleaning, build_cleaning, decide_labels
from wsl.seeds.rules.rule import LABEL_RULES, LabelRule, build_rule

__all__ = [
    "LABEL_RULES",
    "NO_CLEANING",
    "Cleaning",
    "LabelRule",
    "argmax",
    "build_cleaning",
    "build_rule",
    "class_thresholds",
    "decide_labels",
    "relative",
    "sec_cues",
    "two_alpha",
    "two_threshold",
]
