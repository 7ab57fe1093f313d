"""What a map explains: a target turns the network's outputs into one score per image.

A target is any callable on outputs (N, O) of a classifier, or (N, O, H, W) of a segmentation network, that returns
(N,) scores, each from its own image alone. It must be differentiable for gradient methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Target = Callable[[Tensor], Tensor]
Targets = Sequence[Sequence[Target]]  # per image, any number of them


@dataclass(frozen=True)
class Logit:
    """The logit of one output, or the log-sum-exp of several: the logit of "one of these" under a softmax."""

    outputs: tuple[int, ...]

    def __call__(self, outputs: Tensor) -> Tensor:
        return torch.logsumexp(outputs[:, list(self.outputs)], dim=1)


@dataclass(frozen=True)
class Probability:
    """The softmax probability of one output, or of several together."""

    outputs: tuple[int, ...]

    def __call__(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(1)[:, list(self.outputs)].sum(1)


@dataclass(frozen=True)
class LogitAndLogProbability:
    """ReST: logit plus log-probability, whose second derivative is not zero. Cai, ShapleyCAM, 2025, section 4."""

    outputs: tuple[int, ...]

    def __call__(self, outputs: Tensor) -> Tensor:
        logit = torch.logsumexp(outputs[:, list(self.outputs)], dim=1)
        return 2 * logit - torch.logsumexp(outputs, dim=1)


@dataclass(frozen=True)
class Difference:
    """`target` minus `weight` times the mean of `others`: what speaks for one class and not for its rivals."""

    target: Target
    others: tuple[Target, ...]
    weight: float = 1.0

    def __call__(self, outputs: Tensor) -> Tensor:
        if not self.others:
            return self.target(outputs)
        return self.target(outputs) - self.weight * torch.stack([other(outputs) for other in self.others]).mean(0)


@dataclass(frozen=True, eq=False)
class Region:
    """Sum of one output of a segmentation network (N, O, H, W) over the pixels of `mask` bool (H, W)."""

    output: int
    mask: Tensor

    def __call__(self, outputs: Tensor) -> Tensor:
        return (outputs[:, self.output] * self.mask.to(outputs)).sum((1, 2))


TARGETS: dict[str, Callable[[tuple[int, ...]], Target]] = {
    "logit": Logit,
    "probability": Probability,
    "logit_and_log_probability": LogitAndLogProbability,
}
