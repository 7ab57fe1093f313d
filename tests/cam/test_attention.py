"""Recorded attention: equal to the network's own, in the graph, and the network stays as it came."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18, swin_t

from tests.oracles.cam_attention import attend
from tests.oracles.cam_networks import build_tiny_vit, check_same_state, describe_state, seeded
from wsl.cam.attention import AttentionRecord, check_no_layer, record_attention
from wsl.cam.gradients import differentiate
from wsl.cam.method import build_method
from wsl.cam.targets import Logit
from wsl.cam.trace import Trace
from wsl.errors import ConfigError, ModelError
from wsl.models.timm_net import TimmClassifier
from wsl.models.vit import VitClassifier, resample_positions

SIZE = (16, 24)  # 2 x 3 patches and the class token


def make_images(count: int = 2, size: tuple[int, int] = SIZE, kind: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(3)).to(kind)


class HandMade(nn.Module):
    """One block of attention in one of the ways in which people write it, on 2 heads of 3 channels."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.project = nn.Linear(6, 18)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x).reshape(len(x), -1, 3, 2, 3).permute(2, 0, 3, 1, 4)
        if self.way == "fused":
            mixed = functional.scaled_dot_product_attention(q, k, v)
        elif self.way == "fused, masked":
            mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.3)
        elif self.way == "fused, causal":
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        elif self.way == "fused, grouped":
            mixed = functional.scaled_dot_product_attention(q, k[:, :1], v[:, :1], enable_gqa=True)
        elif self.way == "softmax module":
            mixed = nn.Softmax(dim=-1)(q @ k.transpose(-2, -1)) @ v
        else:
            mixed = (q @ k.transpose(-2, -1)).softmax(3) @ v
        return mixed.transpose(1, 2).reshape(x.shape)


@pytest.mark.parametrize("own_dtype", [torch.float32, torch.float64])
def test_recorded_attention_of_a_vit_is_the_literal_one(own_dtype: torch.dtype) -> None:
    model = seeded(build_tiny_vit()).to(own_dtype)
    images = make_images(kind=own_dtype)
    inputs: list[Tensor] = []
    hooks = [
        block.self_attention.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
        for block in model.net.encoder.layers
    ]
    with torch.no_grad():
        expected = model(images)
        inputs.clear()
        with record_attention(model, True) as record:
            found = model(images)
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert [tuple(each.shape) for each in record] == [(2, 2, 7, 7)] * 2
    for block, tokens, attention in zip(model.net.encoder.layers, inputs, record, strict=True):
        torch.testing.assert_close(attention[1], attend(block.self_attention, tokens[1])[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "way", ["fused", "fused, masked", "fused, causal", "fused, grouped", "softmax module", "softmax"]
)
def test_every_way_of_writing_attention_is_seen(way: str) -> None:
    model = seeded(HandMade(way))
    tokens = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    expected = model(tokens)
    with record_attention(model, True) as record:
        found = model(tokens)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert len(record) == 1
    torch.testing.assert_close(record[0].sum(3), torch.ones(2, 2, 5))
    (gradient,) = torch.autograd.grad(found.sum(), record[0])
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("average", [True, False])
def test_multi_head_attention_with_weights_and_mask(average: bool) -> None:
    module = seeded(nn.MultiheadAttention(6, 2))
    tokens = torch.randn(5, 2, 6, generator=torch.Generator().manual_seed(0))
    for mask in (None, torch.ones(5, 5, dtype=torch.bool).triu(1), torch.randn(4, 5, 5)):
        expected = module(tokens, tokens, tokens, attn_mask=mask, average_attn_weights=average)
        with record_attention(module, True) as record:
            found = module(tokens, tokens, tokens, attn_mask=mask, average_attn_weights=average)
        torch.testing.assert_close(found, expected)
        assert record[0].shape == (2, 2, 5, 5)


@pytest.mark.parametrize("fused", [True, False])
def test_timm_blocks(fused: bool) -> None:
    model = _build_deit()
    for block in model.net.blocks:
        block.attn.fused_attn = fused
    images = make_images(1, (32, 48))
    with torch.no_grad():
        expected = model(images)
        with record_attention(model, True) as record:
            torch.testing.assert_close(model(images), expected, rtol=1e-5, atol=1e-5)
    assert [tuple(each.shape) for each in record] == [(1, 3, 8, 8)] * 2
    assert record.blocks() == list(model.net.blocks)
    assert record.find_readers(model, images).tolist() == [True, True] + [False] * 6  # class and distillation token


def _build_deit() -> TimmClassifier:
    timm = pytest.importorskip("timm")
    net = timm.create_model("deit_tiny_distilled_patch16_224", depth=2, num_classes=3, dynamic_img_size=True)
    classifier = TimmClassifier(
        net, channels_last=False, linear=False, name="deit", num_outputs=3, output_stride=16, pooled=False,
        head="original", default_layer="net.blocks.1.norm1", head_prefixes=("head.",),
    )  # fmt: skip
    seeded(classifier)
    return classifier


def test_gradients_with_respect_to_attention_are_finite_differences() -> None:
    model = seeded(build_tiny_vit()).double()
    images = make_images(1, kind=torch.float64)
    trace = Trace(model, images, needs=frozenset({"attention_gradients"}))
    found = trace.differentiate(trace.attention, [[Logit((1,))]])
    assert _score_with(model, images, 0, (0, 0, 0), 0.0) == pytest.approx(float(trace.logits[0, 1]), rel=1e-9)
    for block, place in [(0, (1, 0, 3)), (0, (0, 5, 2)), (1, (1, 0, 6)), (1, (0, 0, 0))]:
        up, down = (_score_with(model, images, block, place, step) for step in (1e-5, -1e-5))
        assert float(found[block][0][0][place]) == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-9)


@torch.no_grad()
def _score_with(model: VitClassifier, images: Tensor, block: int, place: tuple[int, int, int], change: float) -> float:
    """Logit 1 of one image when one attention (head, query, key) of one block is changed; every step by hand."""
    net = model.net
    patches = net.conv_proj(images).flatten(2).transpose(1, 2)
    tokens = torch.cat([net.class_token, patches], dim=1) + resample_positions(net.encoder.pos_embedding, (2, 3))
    tokens = tokens[0]
    for index, layer in enumerate(net.encoder.layers):
        attention = attend(layer.self_attention, layer.ln_1(tokens))[1]
        if index == block:
            attention[place] += change
        tokens = tokens + _mix(layer.self_attention, layer.ln_1(tokens), attention)
        tokens = tokens + layer.mlp(layer.ln_2(tokens))
    return float(net.heads(net.encoder.ln(tokens)[0])[1])


def _mix(module: nn.MultiheadAttention, tokens: Tensor, attention: Tensor) -> Tensor:
    channels = tokens.shape[1]
    values = tokens @ module.in_proj_weight[-channels:].T + module.in_proj_bias[-channels:]
    values = values.reshape(len(tokens), module.num_heads, -1).transpose(0, 1)
    mixed = (attention @ values).transpose(0, 1).reshape(tokens.shape)
    return mixed @ module.out_proj.weight.T + module.out_proj.bias


def test_rollout_builds_no_graph_and_chefer_does() -> None:
    model = seeded(build_tiny_vit())
    assert not Trace(model, make_images(), needs=frozenset({"attention"})).attention[0].requires_grad
    with torch.no_grad():
        assert Trace(model, make_images(), needs=frozenset({"attention_gradients"})).attention[0].requires_grad


def test_model_is_left_as_it_came_also_after_an_error() -> None:
    model = seeded(build_tiny_vit())
    before, keys = describe_state(model), [sorted(vars(module)) for module in model.modules()]
    with record_attention(model, True) as record:
        model(make_images())
    record.find_readers(model, make_images())
    with pytest.raises(RuntimeError), record_attention(model, True):
        model(torch.zeros(1, 4, 16, 16))
    with pytest.raises(RuntimeError):
        record.run_head(model, make_images(), torch.zeros(2, 7, 5))
    check_same_state(before, describe_state(model))
    assert [sorted(vars(module)) for module in model.modules()] == keys
    model(make_images())
    assert len(record) == 2  # nothing is recorded when the context is over


def test_a_block_with_a_forward_of_its_own_keeps_it() -> None:
    model = seeded(build_tiny_vit())
    block, images = model.net.encoder.layers[0], make_images()
    own = block.forward
    block.forward = own
    with record_attention(model, True) as record:
        model(images)
    record.run_head(model, images, record.tokens()[0])
    assert vars(block)["forward"] is own


def test_head_on_the_last_tokens_is_the_network() -> None:
    model = seeded(build_tiny_vit())
    images = make_images()
    with torch.no_grad(), record_attention(model, True) as record:
        outputs = model(images)
    torch.testing.assert_close(record.run_head(model, images, record.tokens()[-1]), outputs)
    first = model.net.heads(model.net.encoder.ln(record.tokens()[0])[:, 0])
    torch.testing.assert_close(record.run_head(model, images, record.tokens()[0]), first)


def test_readers_of_class_token_pooling_and_a_head_of_zeros() -> None:
    model = seeded(build_tiny_vit())
    assert _readers(model) == [True] + [False] * 6
    model.net.heads.head.weight.data.zero_()
    assert _readers(model) == [True] + [False] * 6
    model = seeded(build_tiny_vit())
    model.pooled = True
    assert _readers(model) == [False] + [True] * 6


def _readers(model: nn.Module) -> list[bool]:
    with torch.no_grad(), record_attention(model, True) as record:
        model(make_images())
    readers: list[bool] = record.find_readers(model, make_images()).tolist()
    return readers


def test_networks_without_whole_attention_are_refused() -> None:
    with pytest.raises(ModelError, match=r"ResNet computed no attention: use cam.method=grad_cam or layer_cam"):
        _run(resnet18(), (32, 32))
    with pytest.raises(ModelError, match=r"those of SwinTransformer see windows or several resolutions.*49, 49"):
        _run(swin_t(), (64, 64))
    with pytest.raises(ModelError, match=r"one module per block that gives tokens \(B, 5, C\), but found none around"):
        _run_hidden_block()


def _run(net: nn.Module, size: tuple[int, int]) -> None:
    with torch.no_grad(), record_attention(net.eval(), True):
        net(make_images(1, size))


def _run_hidden_block() -> None:
    module = HandMade("fused")
    shared = nn.Sequential(module, module)
    with record_attention(shared, True) as record:
        shared(torch.zeros(1, 5, 6))
    record.tokens()


def test_inactive_recording_and_wrong_use() -> None:
    with record_attention(resnet18(), False) as record:
        assert record == []
    with pytest.raises(ModelError, match="was not recorded"):
        AttentionRecord.of([])
    with pytest.raises(ConfigError, match=r"cam.method=legrad uses the attention of the blocks, but got layer 'a.b'"):
        check_no_layer("legrad", "a.b")


def test_pooled_classifier_records_its_attention() -> None:
    model = seeded(build_tiny_vit())
    model.pooled = True
    images = make_images()
    trace = Trace(model, images, needs=frozenset({"attention"}))
    assert len(trace.attention) == 2
    torch.testing.assert_close(trace.logits, model(images).detach(), rtol=1e-5, atol=1e-5)


def test_one_backward_serves_two_images() -> None:
    model = seeded(build_tiny_vit())
    trace = Trace(model, make_images(), needs=frozenset({"attention_gradients"}))
    both = differentiate(trace._outputs, trace.attention, [[Logit((0,))], [Logit((2,)), Logit((1,))]])
    alone = Trace(model, make_images()[1:], needs=frozenset({"attention_gradients"}))
    single = alone.differentiate(alone.attention, [[Logit((2,)), Logit((1,))]])
    for block in range(2):
        assert [len(each) for each in both[block]] == [1, 2]
        torch.testing.assert_close(both[block][1], single[block][0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["attention_rollout", "legrad", "chefer"])
def test_half_precision_gives_nearly_the_same_map(name: str) -> None:
    method, model = build_method(name), seeded(build_tiny_vit())

    def run(model: VitClassifier, images: Tensor, **precision: Any) -> Tensor:
        trace = Trace(model, images, needs=method.needs, **precision)
        return method.compute_maps(trace, None, [[Logit((0,))], []])[0].flatten()

    exact = run(model, make_images())
    autocast = run(model, make_images(), precision=lambda: torch.autocast("cpu", torch.bfloat16))
    half = run(seeded(build_tiny_vit()).bfloat16(), make_images().bfloat16())
    for found in (autocast, half):
        assert found.dtype == torch.float32
        assert torch.corrcoef(torch.stack([exact, found]))[0, 1] > 0.999
