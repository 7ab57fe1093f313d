"""FinerCAM: Grad-CAM of y_c - alpha y_t for the outputs t most like the class. Zhang et al., CVPR 2025, section 3.

References are the outputs whose logits are nearest to the class's own, image by image. variant "paper": the plain mean
over the references; "weighted": the authors' code, the mean weighted by p_t / sum_t p_t, p the softmax of all outputs,
through which the gradient goes too. These weights are the softmax over the references, which cannot divide by 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wsl.cam.method import METHODS, check_targets
from wsl.cam.methods.grad_cam import GradCam
from wsl.cam.targets import Difference, Logit, Target, Targets
from wsl.cam.trace import Trace
from wsl.errors import ConfigError

VARIANTS = ("paper", "weighted")


@dataclass(frozen=True)
class WeightedDifference:
    """The logit of `target` minus `weight` times those of `others`, averaged with their softmax probabilities."""

    target: Logit
    others: tuple[int, ...]
    weight: float

    def __call__(self, outputs: Tensor) -> Tensor:
        others = outputs[:, list(self.others)]
        return self.target(outputs) - self.weight * (others.softmax(1) * others).sum(1)


@METHODS.register("finer_cam")
@dataclass(frozen=True)
class FinerCam(GradCam):
    """alpha: strength of the comparison (the authors' code: 1). references: how many outputs are compared with."""

    variant: str = "paper"
    alpha: float = 0.6
    references: int = 3

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ConfigError(f"cam.method=finer_cam: expected variant paper or weighted, but got '{self.variant}'.")
        if self.references < 1:
            raise ConfigError(f"cam.method=finer_cam: expected references of at least 1, but got {self.references}.")

    def compute_maps(self, trace: Trace, layer: str | None, targets: Targets) -> list[Tensor]:
        check_targets(targets, len(trace.images))
        compared = [[self._compare(each, trace.logits[row]) for each in group] for row, group in enumerate(targets)]
        return super().compute_maps(trace, layer, compared)

    def _compare(self, target: Target, logits: Tensor) -> Target:
        if not isinstance(target, Logit):
            raise ConfigError(
                f"cam.method=finer_cam compares logits: expected the target 'logit', but got {_name(target)}; "
                "set cam.target=logit or choose another method."
            )
        others = find_references(logits, target, self.references)
        if not others:
            return target
        if self.variant == "weighted":
            return WeightedDifference(target, others, self.alpha)
        return Difference(target, tuple(Logit((other,)) for other in others), self.alpha)


def find_references(logits: Tensor, target: Logit, count: int) -> tuple[int, ...]:
    """The `count` outputs outside the target's own whose `logits` (O,) are nearest to its own; of equals the first."""
    logits = logits.float()
    distances = (logits - target(logits[None])).abs().tolist()
    others = [output for output in range(len(distances)) if output not in target.outputs]
    return tuple(sorted(others, key=distances.__getitem__)[:count])


def _name(target: Target) -> str:
    return type(target).__name__ if not hasattr(target, "__name__") else str(target.__name__)
