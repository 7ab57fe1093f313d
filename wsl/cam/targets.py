"""What a map explains: a target turns the network's outputs into one score per image.

A target is any callable on outputs (N, O) of a classifier, or (N, O, H, W) of a segmentation network, that returns
(N,) scores, each from its own image alone. It must be differentiable for gradient methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from wsl.errors import ModelError

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
    """Sum of one output of a segmentation network (N, O, H, W) over the pixels of `mask` bool (H, W).

    The mask belongs to the whole image: at other scales it is resized (nearest), for the mirror image it is mirrored.
    """

    output: int
    mask: Tensor

    def __call__(self, outputs: Tensor) -> Tensor:
        mask = functional.interpolate(self.mask[None, None].to(outputs), outputs.shape[2:], mode="nearest")[0, 0]
        return (outputs[:, self.output] * mask).sum((1, 2))


def mirror_target(target: Target) -> Target:
    """What the target asks of the mirror image: the same, but for regions."""
    if isinstance(target, Region):
        return replace(target, mask=target.mask.flip(1))
    if isinstance(target, Difference):
        return replace(
            target, target=mirror_target(target.target), others=tuple(mirror_target(each) for each in target.others)
        )
    return target


def compute_scores(target: Target, outputs: Tensor) -> Tensor:
    """The target's scores (N,) of `outputs` (N, O, ...); ModelError when it returns something else."""
    scores = target(outputs)
    if not isinstance(scores, Tensor) or scores.shape != outputs.shape[:1]:
        found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ModelError(
            f"target {target!r}: expected scores of shape ({len(outputs)},), one per image, for outputs "
            f"{tuple(outputs.shape)}, but got {found}."
        )
    return scores


TARGETS: dict[str, Callable[[tuple[int, ...]], Target]] = {
    "logit": Logit,
    "probability": Probability,
    "logit_and_log_probability": LogitAndLogProbability,
}
