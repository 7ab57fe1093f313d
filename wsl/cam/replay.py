"""Running only what follows a layer, for any network: everything that had finished before it gives its old output.

While the network runs once, the outputs of the outermost modules that finish before the layer does are kept. In a
replay these modules do nothing but hand them out, the layer hands out what it is given, and the rest of the network's
own code runs as ever. So the head of any network can be run alone, without knowing its code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map

from wsl.models.classifier import Classifier


class Replay:
    """Records in its context, then runs the rest of the network behind `layer`."""

    def __init__(self, model: Classifier, layer: str) -> None:
        self.model, self.layer = model, dict(model.named_modules())[layer]
        self._finished: list[tuple[nn.Module, int, Any]] = []  # module, depth, output
        self._depth, self._reached = 0, False
        self._own_memory: bool | None = None  # whether every version needs its own copy of the old outputs

    def __enter__(self) -> Replay:
        self._handles: list[Any] = []
        for module in self.model.modules():
            if module is not self.model:
                self._handles.append(module.register_forward_pre_hook(self._begin))
                self._handles.append(module.register_forward_hook(self._end))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _begin(self, _module: nn.Module, _inputs: Any) -> None:
        self._depth += 1

    def _end(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        self._depth -= 1
        if self._reached:
            return
        # What ran inside this module is not called again when the module itself hands out its output.
        self._finished = [each for each in self._finished if each[1] <= self._depth]
        self._reached = module is self.layer
        if not self._reached:
            self._finished.append((module, self._depth, tree_map(_detach, output)))

    def run(self, raw: Tensor, row: int, images: Tensor) -> Tensor:
        """Outputs (N, O) for N versions `raw` (N, ...) of the layer's output for image `row` of the recorded batch.

        The old outputs are shared between the versions, unless something behind the layer writes to them in place.
        """
        if len(raw) == 1 or self._own_memory is not None:
            return self._run(raw, row, images, self._own_memory or len(raw) == 1)
        try:
            outputs = self._run(raw.clone(), row, images, own_memory=False)
        except RuntimeError as error:
            if "single memory location" not in str(error):
                raise
            self._own_memory = True
            return self._run(raw, row, images, own_memory=True)
        self._own_memory = False
        return outputs

    def _run(self, raw: Tensor, row: int, images: Tensor, own_memory: bool) -> Tensor:
        with handing_out(self._plan(raw, row, own_memory)):
            outputs: Tensor = self.model(images[row : row + 1].expand(len(raw), -1, -1, -1))
        return outputs

    def _plan(self, raw: Tensor, row: int, own_memory: bool) -> dict[nn.Module, list[Any]]:
        plan: dict[nn.Module, list[Any]] = {}
        for module, _, output in self._finished:
            copies = tree_map(lambda each: _repeat(each, row, len(raw), own_memory), output)
            plan.setdefault(module, []).append(copies)
        plan.setdefault(self.layer, []).append(raw)
        return plan


def _detach(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def _repeat(value: Any, row: int, copies: int, own_memory: bool) -> Any:
    if not isinstance(value, Tensor):
        return value
    repeated = value[row : row + 1].expand(copies, *value.shape[1:])
    return repeated.clone() if own_memory else repeated


@contextmanager
def handing_out(plan: dict[nn.Module, list[Any]]) -> Iterator[None]:
    """Each module's first calls return the planned outputs, further ones run its own code."""
    before = {module: vars(module).get("forward") for module in plan}
    for module, outputs in plan.items():
        module.forward = _first_from(outputs, module.forward)
    try:
        yield
    finally:
        for module, own in before.items():
            del module.forward
            if own is not None:
                module.forward = own


def _first_from(outputs: Sequence[Any], forward: Any) -> Any:
    waiting = list(outputs)

    def hand_out(*arguments: Any, **options: Any) -> Any:
        return waiting.pop(0) if waiting else forward(*arguments, **options)

    return hand_out
