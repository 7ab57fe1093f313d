"""One forward pass of a batch, and what the methods ask of it: activations, gradients, the head alone, attention.

No graph is built before the first layer that is asked for: the network runs without gradients up to it, its output is
cut off as a fresh leaf, and only the rest is differentiated, with respect to activations and never to parameters.
Frozen models, callers under `no_grad` and in-place layers work. Of a pooled head the gradient is the same at every
position: it is computed on the pooled vector alone and expanded, so further classes cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from wsl.cam.attention import record_attention
from wsl.cam.gradients import differentiate
from wsl.cam.method import check_targets
from wsl.cam.pooled_layer import is_pooled_map
from wsl.cam.recorder import BiasRecorder, LayerRecorder
from wsl.cam.replay import Replay
from wsl.cam.targets import Logit, Target, Targets, compute_scores
from wsl.errors import ModelError
from wsl.models.classifier import Classifier

FROM_THE_START = {"attention_gradients", "bias_gradients"}
Precision = Callable[[], AbstractContextManager[Any]]


class Trace:
    """What a forward pass left behind.

    images: float (B, 3, H, W), normalised. logits: the network's outputs, detached: (B, O), or (B, O, H, W) of a
    segmentation network. attention: per block (B, heads, tokens, tokens), when asked for.
    """

    def __init__(
        self,
        model: Classifier,
        images: Tensor,
        layers: Sequence[str | None] = (None,),
        needs: frozenset[str] = frozenset({"activations"}),
        precision: Precision = nullcontext,
    ) -> None:
        self.model, self.images, self.needs, self.precision = model, images, needs, precision
        self.layers = tuple(dict.fromkeys(self.resolve(layer) for layer in layers))
        self._replays: dict[str, Replay] = {}
        self._cache: tuple[object, dict[str, list[Tensor]]] | None = None
        self._run()

    def resolve(self, layer: str | None) -> str | None:
        """The layer's name; None where it is the map that a pooled head averages."""
        if is_pooled_map(self.model, layer, self.images):
            return None
        return layer if layer is not None or self.model.pooled else self.model.default_layer

    def _run(self) -> None:
        names = [layer for layer in self.layers if layer is not None]
        graph = "gradients" in self.needs and bool(names)
        from_start = bool(FROM_THE_START & self.needs)
        with ExitStack() as stack:
            stack.enter_context(torch.set_grad_enabled(from_start))
            self._recorder = stack.enter_context(LayerRecorder(self.model, names, graph, from_start))
            self.biases = stack.enter_context(BiasRecorder(self.model, "bias_gradients" in self.needs))
            self.attention: list[Tensor] = stack.enter_context(
                record_attention(self.model, bool({"attention", "attention_gradients"} & self.needs))
            )
            if "head" in self.needs:
                self._replays = {name: stack.enter_context(Replay(self.model, name)) for name in names}
            if "hessian" in self.needs:
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))  # fused attention has no second derivative
            stack.enter_context(self.precision())
            self.leaf = self.images.detach().clone().requires_grad_(from_start)
            self._forward(self.leaf)
        self.logits = self._outputs.detach()
        self._recorder.check(self._outputs)

    def _forward(self, images: Tensor) -> None:
        if self.model.pooled:
            features = self.model.features(images)
            self._pooled_features = features.detach()
            self._outputs = self.model.pooled_head(features.mean((2, 3)))
        else:
            self._outputs = self.model(images)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return self.images.shape[2], self.images.shape[3]

    def raw(self, layer: str | None) -> Tensor:
        """The layer's output as the network has it: a map, or tokens (B, T, C); detached."""
        layer = self.resolve(layer)
        return self._pooled_features if layer is None else self._recorder.outputs[layer].detach()

    def activation(self, layer: str | None) -> Tensor:
        """The layer's output as a map, float32 (B, C, h, w), detached."""
        raw = self.raw(layer)
        return (raw if self.resolve(layer) is None else self._to_map(raw)).float()

    def _to_map(self, output: Tensor) -> Tensor:
        return self.model.tokens_to_map(output, self.size)

    def gradients(self, layer: str | None, targets: Targets) -> list[Tensor]:
        """d target / d activation, float32 (K_b, C, h, w) per image b; exact, without any factor."""
        check_targets(targets, len(self.images))
        layer = self.resolve(layer)
        if layer is None:
            return [self._pooled_gradient(row, each) for row, each in enumerate(targets)]
        return self._all_gradients(targets)[layer]

    def _all_gradients(self, targets: Targets) -> dict[str, list[Tensor]]:
        """Of every named layer at once: one backward serves them all."""
        if self._cache is None or self._cache[0] is not targets:
            names = [name for name in self.layers if name is not None]
            wanted = [self._recorder.outputs[name] for name in names]
            gradients = self.differentiate(wanted, targets)
            found = {
                name: [self._to_map(each).float() for each in rows] for name, rows in zip(names, gradients, strict=True)
            }
            self._cache = (targets, found)
        return self._cache[1]

    def differentiate(self, wanted: Sequence[Tensor], targets: Targets) -> list[list[Tensor]]:
        """Gradients of the target scores with respect to recorded tensors (B, ...): per tensor and image (K_b, ...)."""
        return differentiate(self._outputs, wanted, targets)

    def _pooled_gradient(self, row: int, targets: Sequence[Target]) -> Tensor:
        channels, height, width = self._pooled_features.shape[1:]
        weights = self._pooled_weights(row, targets).float() / (height * width)
        return weights.reshape(-1, channels, 1, 1).expand(-1, -1, height, width)

    def _pooled_weights(self, row: int, targets: Sequence[Target]) -> Tensor:
        """d target / d pooled vector, (K, C)."""
        linear = self.model.linear_head()
        if linear is not None and all(isinstance(target, Logit) for target in targets):
            return self._linear_weights(row, targets, linear.weight.detach())
        pooled = self._pooled_vector(row, len(targets))
        return torch.autograd.grad(self._pooled_score(pooled, targets), pooled)[0] if targets else pooled.detach()

    def _linear_weights(self, row: int, targets: Sequence[Any], weight: Tensor) -> Tensor:
        groups = [list(target.outputs) for target in targets]
        rows = [self.logits[row, group].float().softmax(0) @ weight[group].float() for group in groups]
        return torch.stack(rows) if rows else weight[:0]

    def _pooled_vector(self, row: int, copies: int) -> Tensor:
        pooled = self._pooled_features[row].mean((1, 2))
        return pooled.expand(copies, -1).clone().requires_grad_()

    def _pooled_score(self, pooled: Tensor, targets: Sequence[Target]) -> Tensor:
        with torch.enable_grad(), self.precision():
            outputs = self.model.pooled_head(pooled)
            return torch.stack(
                [compute_scores(target, outputs[k : k + 1])[0] for k, target in enumerate(targets)]
            ).sum()

    def hessian_products(self, layer: str | None, targets: Targets) -> list[Tensor]:
        """H A, the Hessian of each target with respect to the activation times the activation; like `gradients`."""
        layer = self.resolve(layer)
        if layer is None:
            return [self._pooled_hessian(row, each) for row, each in enumerate(targets)]
        output = self._recorder.outputs[layer]
        rows = differentiate(self._outputs, [output], targets, times=output.detach())[0]
        return [self._to_map(each).float() for each in rows]

    def _pooled_hessian(self, row: int, targets: Sequence[Target]) -> Tensor:
        # y = f(p), p the mean over S positions: sum over l, m, n of d2y / dA_ij dA_lmn * A_lmn = (H_f p) / S
        channels, height, width = self._pooled_features.shape[1:]
        pooled = self._pooled_vector(row, len(targets))
        product = torch.zeros_like(pooled)
        if targets:
            (first,) = torch.autograd.grad(self._pooled_score(pooled, targets), pooled, create_graph=True)
            if first.requires_grad:
                found = torch.autograd.grad(first, pooled, pooled.detach(), allow_unused=True)[0]
                product = product if found is None else found
        return (product.float() / (height * width)).reshape(-1, channels, 1, 1).expand(-1, -1, height, width)

    def channel_axis(self, layer: str | None) -> int:
        """The axis of `raw` that counts channels: 1 of a map, the last of tokens and channels-last maps."""
        raw = self.raw(layer)
        if self.resolve(layer) is None or raw.ndim == 3:
            return 1 if raw.ndim == 4 else 2
        return 1 if self._to_map(raw).shape[1:] == raw.shape[1:] else 3

    def run_head(self, layer: str | None, raw: Tensor, row: int) -> Tensor:
        """The network's outputs when the layer's output for image `row` is `raw` (N, ...): only the rest of it runs."""
        layer = self.resolve(layer)
        with torch.no_grad(), self.precision():
            if layer is None:
                return self.model.pooled_head(raw.mean((2, 3)))
            if layer not in self._replays:
                raise ModelError(f"layer '{layer}': the head alone was not recorded; add 'head' to the method's needs.")
            return self._replays[layer].run(raw, row, self.images)

    def predict(self, images: Tensor) -> Tensor:
        """Outputs for other images (N, 3, H, W), without gradients."""
        with torch.no_grad(), self.precision():
            outputs: Tensor = self.model(images)
            return outputs

    def again(self, images: Tensor) -> Trace:
        """The same recording of other images."""
        return Trace(self.model, images, self.layers, self.needs, self.precision)
