"""One watched forward pass of a network: what every module was given and gave, in order, with gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wsl.errors import ModelError
from wsl.models.classifier import Classifier

MAIN_OUTPUTS = ("out", "logits")  # of networks that give a dict
SIDES = (224, 256)  # 256 for networks that halve the image more than five times and want no remainder
REFUSALS = (RuntimeError, AssertionError, ValueError, IndexError, TypeError)
Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Call:
    """One module's turn, in order of finishing: dotted `name`, and its output, still in the graph.

    given: its input as it was before the call, where that is one vector per image: (B, C), (B, C, 1, 1), ...
    """

    name: str
    module: nn.Module
    given: Tensor | None
    output: Tensor


@dataclass(frozen=True, eq=False)
class Probe:
    """calls: of every module that ran exactly once and gave a floating tensor. outputs: (B, O) or (B, O, H, W)."""

    calls: tuple[Call, ...]
    outputs: Tensor

    def find_gradients(self) -> dict[str, Tensor]:
        """d outputs / d output of each call that they depend on, by its name.

        A head whose weights are all zero (the published start of some) hides everything: then the input of the last
        linear layer stands for the outputs.
        """
        found = self._differentiate(self.outputs)
        if not self.outputs.requires_grad or any(each.ndim > 2 and each.any() for each in found.values()):
            return found
        inputs = [call.given for call in self.calls if isinstance(call.module, nn.Linear) and call.given is not None]
        return self._differentiate(inputs[-1]) if inputs else found

    def _differentiate(self, outputs: Tensor) -> dict[str, Tensor]:
        if not outputs.requires_grad:
            return {}
        calls = [call for call in self.calls if call.output.requires_grad]
        with torch.inference_mode(False), torch.enable_grad():
            weights = torch.linspace(1, 2, outputs.numel(), device=outputs.device).reshape(outputs.shape)
            wanted = [call.output for call in calls]
            score = (outputs.float() * weights).sum()
            found = torch.autograd.grad(score, wanted, retain_graph=True, allow_unused=True)
        return {call.name: each for call, each in zip(calls, found, strict=True) if each is not None}


def find_outputs(output: Any, name: str) -> Tensor:
    """The outputs tensor of what a network returns: itself, the entry 'out' or 'logits', or the first of a tuple."""
    found = output
    if isinstance(output, Mapping):
        found = next((output[key] for key in MAIN_OUTPUTS if key in output), None)
    elif hasattr(output, "logits"):
        found = output.logits
    elif isinstance(output, (tuple, list)) and output:
        found = output[0]
    if not isinstance(found, Tensor) or found.ndim not in (2, 4):
        kind = tuple(found.shape) if isinstance(found, Tensor) else type(output).__name__
        raise ModelError(f"{name}: expected outputs (B, O) or (B, O, H, W), or a dict with 'out', but got {kind}.")
    return found


def probe_network(net: nn.Module, images: Tensor, name: str) -> Probe:
    """Runs `net` once on images (B, 3, H, W) in evaluation mode, with a graph from the images on.

    The network is left as it came: mode, hooks and parameter gradients. ModelError when it cannot run on the images.
    """
    calls: list[Call] = []
    with torch.inference_mode(False), torch.enable_grad(), evaluating(net), _watching(net, calls):
        try:
            output = net(images.detach().clone().requires_grad_())
        except REFUSALS as error:
            raise describe_refusal(name, images, error) from error
    times = Counter(call.name for call in calls)
    once = tuple(call for call in calls if times[call.name] == 1)
    return Probe(once, find_outputs(output, name))


def describe_refusal(name: str, images: Tensor, error: Exception) -> ModelError:
    """What to raise when a network cannot run on the images."""
    reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
    return ModelError(
        f"{name} could not run on images of shape {tuple(images.shape)} ({reason}): give images that fit it."
    )


def probe_noise(net: nn.Module, name: str, fallback: Tensor | None = None) -> tuple[Probe, Tensor]:
    """A probe of seeded noise, and this noise (1, C, H, W): what is found does not depend on the images at hand.

    Its size is the one that the network names, or 224 x 224, or 256 x 256; `fallback` gives the size where the network
    refuses these, and the device, dtype and C. Raises ModelError when the network cannot run on any of them.
    """
    like = fallback if fallback is not None else next(net.parameters(), torch.zeros(())).new_zeros(1, 3, 1, 1)
    own = _find_own_size(net.net if isinstance(net, Classifier) else net)
    sizes = [own] if own else [(side, side) for side in SIDES]
    refusal: ModelError | None = None
    for size in sizes if fallback is None else [*sizes, (fallback.shape[2], fallback.shape[3])]:
        noise = torch.randn(1, like.shape[1], *size, generator=torch.Generator().manual_seed(0)).to(like)
        try:
            return probe_network(net, noise, name), noise
        except ModelError as error:
            refusal = error if refusal is None or fallback is not None else refusal
    raise refusal or ModelError(f"{name} could not run.")


def _find_own_size(net: nn.Module) -> Size | None:
    """(height, width) that torchvision's and timm's networks say they want."""
    configured = (getattr(net, "pretrained_cfg", None) or {}).get("input_size", (None,))[1:]
    for found in (getattr(net, "image_size", None), getattr(getattr(net, "patch_embed", None), "img_size", None),
                  configured):  # fmt: skip
        if isinstance(found, int):
            return found, found
        if isinstance(found, (tuple, list)) and len(found) == 2:
            return int(found[0]), int(found[1])
    return None


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode; each module gets its own mode back."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _watching(net: nn.Module, calls: list[Call]) -> Iterator[None]:
    waiting: list[Tensor | None] = []

    def begin(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        waiting.append(_keep_vector(inputs[0] if inputs else None))

    def end(name: str) -> Any:
        def keep(module: nn.Module, _inputs: Any, output: Any) -> Tensor | None:
            given = waiting.pop()
            if not isinstance(output, Tensor) or not output.is_floating_point():
                return None
            calls.append(Call(name, module, given, output))
            return output.clone()  # a later in-place layer must not overwrite it

        return keep

    modules = [(name, module) for name, module in net.named_modules() if name]
    handles: list[Any] = [module.register_forward_pre_hook(begin) for _, module in modules]
    handles += [module.register_forward_hook(end(name)) for name, module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _keep_vector(value: Any) -> Tensor | None:
    """A clone, because an in-place layer overwrites what it is given."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.ndim < 2:
        return None
    return value.clone() if value[0].numel() == max(value.shape[1:]) else None
