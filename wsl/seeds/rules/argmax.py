"""`argmax`: every pixel is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wsl.seeds.labels import label_of_evidence
from wsl.seeds.rules.rule import LABEL_RULES, Evidence, LabelRule
from wsl.types import LabelMap


@LABEL_RULES.register("argmax")
@dataclass(frozen=True)
class Argmax(LabelRule):
    """The channel with the most evidence; ties go to the background, then to the first class. No 255."""

    def join(self, evidences: Sequence[Evidence], class_ids: Sequence[int]) -> LabelMap:
        return label_of_evidence(evidences[0][0], evidences[0][1:], class_ids)
