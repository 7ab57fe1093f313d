"""Attention matrices of a transformer's blocks, kept in the graph, during one forward pass.

Nothing is known of the network's classes: while it runs, torch's own attention functions (`nn.MultiheadAttention`'s and
`scaled_dot_product_attention`) are computed as softmax(Q K^T) V with the softmax kept, and an explicit softmax over
square scores (B, heads, tokens, tokens) is kept as it is. The modules themselves stay as they are.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from wsl.cam.replay import handing_out
from wsl.errors import ConfigError, ModelError

SOFTMAX: frozenset[Any] = frozenset({functional.softmax, torch.softmax, torch.Tensor.softmax})
INSTEAD = "use cam.method=grad_cam or layer_cam"


class AttentionRecord(list[Tensor]):
    """Per block (B, heads, T, T), in order; and what is needed to run the head on the tokens of any block."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name
        self._running: list[nn.Module] = []
        self._around: list[tuple[nn.Module, ...]] = []  # per attention the modules that were running, outermost first
        self._outputs: dict[nn.Module, Tensor] = {}

    @staticmethod
    def of(attention: list[Tensor]) -> AttentionRecord:
        """The attention of a trace as what it is."""
        if not isinstance(attention, AttentionRecord):
            raise ModelError("The attention was not recorded; add 'attention' to the method's needs.")
        return attention

    def keep(self, attention: Tensor) -> None:
        """Called as a softmax is computed."""
        self.append(attention)
        self._around.append(tuple(self._running))

    def begin(self, module: nn.Module, _inputs: Any) -> None:
        """Forward pre-hook."""
        self._running.append(module)

    def end(self, module: nn.Module, _inputs: Any, output: Any) -> Tensor | None:
        """Forward hook: keeps the tokens that leave a module with attention inside; a clone goes on."""
        self._running.pop()
        if not isinstance(output, Tensor) or not any(module in around for around in self._around):
            return None
        self._outputs[module] = output
        return output.clone()

    def check(self) -> None:
        """Raises ModelError unless every block attends over the same tokens."""
        shapes = sorted({tuple(each.shape) for each in self})
        if not shapes:
            raise ModelError(
                f"Attention methods need a network whose blocks attend over all patches (ViT, DeiT), but {self.name} "
                f"computed no attention: {INSTEAD}."
            )
        if len({(shape[0], shape[2]) for shape in shapes}) > 1:
            raise ModelError(
                f"Attention methods need blocks that attend over all patches (ViT, DeiT), but those of {self.name} see "
                f"windows or several resolutions, (batch, heads, tokens, tokens) = {shapes}: {INSTEAD}."
            )

    def blocks(self) -> list[nn.Module]:
        """Per attention its block: the outermost module with tokens as output that contains no other attention."""
        return [self._find_block(index, around) for index, around in enumerate(self._around)]

    def _find_block(self, index: int, around: Sequence[nn.Module]) -> nn.Module:
        others = {module for other, each in enumerate(self._around) if other != index for module in each}
        tokens = self[index].shape[2]
        for module in around:
            output = self._outputs.get(module)
            if module not in others and output is not None and output.ndim == 3 and output.shape[1] == tokens:
                return module
        raise ModelError(
            f"{self.name}: expected one module per block that gives tokens (B, {tokens}, C), but found none around "
            f"attention {index + 1} of {len(self)}: {INSTEAD}."
        )

    def tokens(self) -> list[Tensor]:
        """Per block its output (B, T, C), in the graph of its attention."""
        return [self._outputs[block] for block in self.blocks()]

    def run_head(self, model: nn.Module, images: Tensor, tokens: Tensor) -> Tensor:
        """The network's outputs if `tokens` (B, T, C) came out of its last block; no block runs."""
        with handing_out({block: [tokens] for block in self.blocks()}):
            outputs: Tensor = model(images)
            return outputs

    def find_readers(self, model: nn.Module, images: Tensor) -> Tensor:
        """bool (T,): the tokens that the head reads, e.g. the class token, or all patches before a pooling.

        Read off a gradient of the head. A head whose weights are all zero reads the first token, as far as one can see.
        """
        with torch.enable_grad():
            kind = next(model.parameters()).dtype  # under autocast the tokens may be of another
            tokens = self.tokens()[-1][:1].detach().to(kind, copy=True).requires_grad_()
            outputs = self.run_head(model, images[:1], tokens)
            weights = torch.linspace(1, 2, outputs.numel(), device=outputs.device).reshape(outputs.shape)
            (gradient,) = torch.autograd.grad((outputs.float() * weights).sum(), tokens)
        readers = gradient[0].ne(0).any(1)
        if not readers.any():
            readers[0] = True
        return readers

    def find_first_row(self, model: nn.Module, images: Tensor) -> Tensor:
        """float32 (B, T): equal weights for the tokens that the head reads, their sum 1."""
        readers = self.find_readers(model, images).float()
        return (readers / readers.sum()).expand(len(images), -1)


class _Attending(TorchFunctionMode):
    """Sees every call of a torch function while it is active."""

    def __init__(self, record: AttentionRecord) -> None:
        super().__init__()
        self.record = record

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            return self._attend(*args, **kwargs)
        if func is functional.multi_head_attention_forward:
            return self._multi_head(inspect.signature(func).bind(*args, **kwargs))
        output = func(*args, **kwargs)
        if func in SOFTMAX and _is_square(output) and _over_last(args, kwargs, output.ndim):
            self.record.keep(output)
        return output

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        if enable_gqa:
            groups = query.shape[1] // key.shape[1]
            key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        scores = _add_mask((query * factor) @ key.transpose(-2, -1), attn_mask)
        if is_causal:
            scores = _add_mask(scores, torch.ones_like(scores[0, 0], dtype=torch.bool).tril())
        attention = functional.dropout(scores.softmax(-1), dropout_p)
        if _is_square(attention):
            self.record.keep(attention)
        return attention @ value

    def _multi_head(self, call: inspect.BoundArguments) -> tuple[Tensor, Tensor | None]:
        """nn.MultiheadAttention on (T, B, C), as torch computes it."""
        call.apply_defaults()
        given = call.arguments
        query, key, value = given["query"], given["key"], given["value"]
        odd = ("bias_k", "bias_v", "key_padding_mask", "static_k", "static_v", "in_proj_weight")
        plain = [given[name] is None for name in odd] == [True] * 5 + [False]
        if not plain or given["add_zero_attn"] or query is not key or key is not value or query.ndim != 3:
            return functional.multi_head_attention_forward(*call.args, **call.kwargs)
        count, batch, channels = query.shape
        parts = functional.linear(query, given["in_proj_weight"], given["in_proj_bias"])
        q, k, v = parts.reshape(count, batch, 3, given["num_heads"], -1).permute(2, 1, 3, 0, 4)
        mask = given["attn_mask"]
        if mask is not None and mask.ndim == 3:
            mask = mask.reshape(batch, given["num_heads"], count, count)
        dropout = given["dropout_p"] if given["training"] else 0.0
        mixed = self._attend(q, k, v, mask, dropout).permute(2, 0, 1, 3).reshape(count, batch, channels)
        output = functional.linear(mixed, given["out_proj_weight"], given["out_proj_bias"])
        if not given["need_weights"]:
            return output, None
        return output, self.record[-1].mean(1) if given["average_attn_weights"] else self.record[-1]


def _is_square(output: Any) -> bool:
    return isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] == output.shape[3]


def _over_last(args: Sequence[Any], kwargs: dict[str, Any], dimensions: int) -> bool:
    return (args[1] if len(args) > 1 else kwargs.get("dim")) in (-1, dimensions - 1)


def _add_mask(scores: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return scores
    return scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask


@contextmanager
def record_attention(model: nn.Module, active: bool) -> Iterator[AttentionRecord]:
    """The record fills with (B, heads, tokens, tokens), one per block in order, as the network runs in the context.

    The recorded tensors are those that multiply the values, so gradients with respect to them can be taken where the
    network runs with gradients. Raises ModelError at the end for a network without blocks that attend over all patches.
    """
    record = AttentionRecord(getattr(model, "name", type(model).__name__))
    if not active:
        yield record
        return
    handles = [module.register_forward_pre_hook(record.begin) for module in model.modules()]
    handles += [module.register_forward_hook(record.end) for module in model.modules()]
    try:
        with _Attending(record):
            yield record
    finally:
        for handle in handles:
            handle.remove()
    record.check()


def rows_to_maps(model: Any, rows: Tensor, size: tuple[int, int]) -> Tensor:
    """Relevance of every token (K, T) -> map over the patches (K, rows, columns), prefix tokens dropped."""
    maps: Tensor = model.tokens_to_map(rows.float()[:, :, None], size)[:, 0]
    return maps


def check_no_layer(method: str, layer: str | None) -> None:
    """Raises ConfigError when a layer is given to a method that uses the attention of all blocks."""
    if layer is not None:
        raise ConfigError(
            f"cam.method={method} uses the attention of the blocks, but got layer '{layer}': leave it out."
        )
