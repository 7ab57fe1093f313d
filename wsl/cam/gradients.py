"""Gradients of several targets per image in few backward passes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wsl.cam.targets import Target, Targets, compute_scores
from wsl.errors import ModelError

HALF = (torch.float16, torch.bfloat16)
HALF_SCALE = 1024.0  # a power of two: exact, and keeps small gradients above the least number of float16


def differentiate(
    outputs: Tensor, wanted: Sequence[Tensor], targets: Targets, times: Tensor | None = None
) -> list[list[Tensor]]:
    """d target / d tensor for every tensor of `wanted` (B, ...): per tensor a list per image of (K_b, ...).

    outputs: (B, O, ...) with its graph, which is kept. With `times`, the Hessian of the target with respect to the
    first tensor multiplied by `times` (B, ...) instead. Images do not influence each other in evaluation mode, so one
    backward pass serves the s-th target of every image at once; on a GPU all of them go in one batched pass.
    """
    slots = max((len(each) for each in targets), default=0)
    if slots and not outputs.requires_grad:
        raise ModelError("The class scores do not depend on the chosen layer by a differentiable path; choose another.")
    scores = [_slot_score(outputs, targets, slot) for slot in range(slots)]
    columns = _hessian_columns(scores, wanted[0], times) if times is not None else _columns(scores, wanted)
    return [
        [_rows(column, row, len(each), tensor) for row, each in enumerate(targets)]
        for column, tensor in zip(columns, wanted, strict=False)
    ]


def _slot_score(outputs: Tensor, targets: Targets, slot: int) -> Tensor:
    with torch.enable_grad():
        rows: list[tuple[int, Target]] = [(row, each[slot]) for row, each in enumerate(targets) if slot < len(each)]
        score = torch.stack([compute_scores(target, outputs[row : row + 1])[0] for row, target in rows]).sum()
    if not score.requires_grad:
        raise ModelError("targets: expected scores that can be differentiated, but a target detaches the outputs.")
    return score


def _columns(scores: Sequence[Tensor], wanted: Sequence[Tensor]) -> list[list[Tensor]]:
    """Per tensor the gradients of all slots."""
    if not scores:
        return [[] for _ in wanted]
    if wanted[0].is_cuda and len(scores) > 1:
        batched = _batched(scores, wanted)
        if batched is not None:
            return batched
    slots = [_gradient(score, wanted) for score in scores]
    return [list(column) for column in zip(*slots, strict=True)]


def _batched(scores: Sequence[Tensor], wanted: Sequence[Tensor]) -> list[list[Tensor]] | None:
    """All slots in one vectorised backward pass; None where an operation has no such form."""
    stacked, scale = torch.stack(list(scores)), _scale_of(wanted)
    directions = torch.eye(len(scores), device=stacked.device, dtype=stacked.dtype) * scale
    try:
        found = torch.autograd.grad(stacked, list(wanted), directions, retain_graph=True, is_grads_batched=True)
    except RuntimeError:
        return None
    return [list(each if scale == 1.0 else each.float() / scale) for each in found]


def _scale_of(wanted: Sequence[Tensor]) -> float:
    return HALF_SCALE if any(each.dtype in HALF for each in wanted) else 1.0


def _gradient(score: Tensor, wanted: Sequence[Tensor]) -> list[Tensor]:
    scale = _scale_of(wanted)
    start = torch.full_like(score, scale)
    found = torch.autograd.grad(score, list(wanted), start, retain_graph=True, allow_unused=True)
    zeros = [torch.zeros_like(tensor) if each is None else each for each, tensor in zip(found, wanted, strict=True)]
    return zeros if scale == 1.0 else [each.float() / scale for each in zeros]


def _hessian_columns(scores: Sequence[Tensor], wanted: Tensor, times: Tensor) -> list[list[Tensor]]:
    columns = []
    for score in scores:
        (first,) = torch.autograd.grad(score, wanted, create_graph=True)
        found = None
        if first.requires_grad:
            found = torch.autograd.grad(first, wanted, times, retain_graph=True, allow_unused=True)[0]
        columns.append(torch.zeros_like(wanted) if found is None else found.detach())
    return [columns]


def _rows(column: Sequence[Tensor], row: int, count: int, tensor: Tensor) -> Tensor:
    if not count:
        return tensor.detach()[row : row + 1][:0]
    return torch.stack([each[row] for each in column[:count]])
