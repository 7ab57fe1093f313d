"""No refinement: the evidence is the background and the scores as they came."""

from __future__ import annotations

from dataclasses import dataclass

from wsl.refine.refiner import REFINERS, Evidence, RefineInput, Refiner


@REFINERS.register("none")
@dataclass(frozen=True)
class Unrefined(Refiner):
    """Evidence = [background, scores], unchanged, so that a pipeline without refinement takes the same path."""

    @property
    def needs(self) -> str:
        return "scores"

    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        return inputs.stack()
