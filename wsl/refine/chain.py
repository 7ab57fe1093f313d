"""Refiners one after the other: the evidence of each is what the next one starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wsl.errors import ConfigError
from wsl.refine.refiner import Evidence, RefineInput, Refiner


@dataclass(frozen=True)
class Chain(Refiner):
    """`steps` in order; background, scores and seeds of a step are those of the evidence before it.

    Evidence above 1 (PAR) is divided by its maximum in between. A step that `keeps_cues` (region growing) gets the
    seeds that the chain started from. At most one kind of guide can be asked for.
    """

    steps: tuple[Refiner, ...]

    def __post_init__(self) -> None:
        guides = {step.guide for step in self.steps if step.guide}
        if len(guides) > 1:
            raise ConfigError(f"refine.method: one chain can use one kind of guide, but its steps want {guides}.")

    @property
    def needs(self) -> str:
        return "seeds" if self.keeps_cues else self.steps[0].needs

    @property
    def keeps_cues(self) -> bool:
        return any(step.keeps_cues for step in self.steps)

    @property
    def guide(self) -> str:
        return next((step.guide for step in self.steps if step.guide), "")

    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        return self.compute_all([inputs])[0]

    def compute_all(self, inputs: Sequence[RefineInput]) -> list[Evidence]:
        evidences = self.steps[0].refine_all(inputs)
        for step in self.steps[1:]:
            pairs = zip(inputs, evidences, strict=True)
            evidences = step.refine_all(
                [one.with_evidence(evidence, keep_seeds=step.keeps_cues) for one, evidence in pairs]
            )
        return evidences
