"""Why a class of an image is not to be trusted, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import itemgetter

from wsl.quality.confidence import Judgement
from wsl.quality.signals import Signals
from wsl.types import ClassSet

# signal: the value from which down it is worth a word, and the word
LOW: dict[str, tuple[float, str]] = {
    "scale_agreement": (0.4, "scales disagree"),
    "flip_agreement": (0.5, "mirror image disagrees"),
    "refinement_agreement": (0.5, "refinement changed most of it"),
    "probability": (0.01, "low class probability"),
    "margin": (0.05, "hardly stronger than the background or another class"),
    "area": (0.005, "tiny region"),
    "compactness": (0.01, "ragged outline"),
    "largest_share": (0.5, "in many pieces"),
}
NEARLY_ALL = 0.9
NO_REGION = "no region"


def find_reasons(signals: Signals, most: int = 3) -> list[str]:
    """At most `most` reasons, the signal that is lowest against its level first; none where all are good."""
    if not signals.area:
        return [NO_REGION]
    values = {name: getattr(signals, name) for name in LOW}
    found = [(values[name] / level, words) for name, (level, words) in LOW.items() if not values[name] >= level]
    found = [(ratio, words) for ratio, words in found if not math.isnan(ratio)]
    if signals.area > NEARLY_ALL:
        found.append((0.0, "region fills the image"))
    return [words for _, words in sorted(found, key=itemgetter(0))[:most]]


def describe(classes: Sequence[Judgement], names: ClassSet) -> str:
    """The reasons of an image's classes, the least trusted first: "crack: scales disagree, tiny region; ...".

    Classes without a reason are left out; where no class has one, it is the confidence that is lower than others'.
    """
    ordered = sorted(classes, key=lambda each: (each.confidence, each.class_id))
    told = [(names.name_of(each.class_id), find_reasons(each.signals)) for each in ordered]
    return "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in told if reasons) or "less certain than others"
