"""FullGrad against channel-by-channel resizing, completeness of its terms, and folded batch norms."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.convnext import LayerNorm2d

from tests.oracles.cam_gradient_methods import full_grad, maps_of, normal
from tests.oracles.cam_networks import PooledNet, seeded
from wsl.cam.fold import fold_batch_norms
from wsl.cam.method import build_method
from wsl.cam.methods.full_grad import _Term, find_bias, find_channel_axis
from wsl.cam.targets import Logit
from wsl.cam.trace import Trace
from wsl.errors import ConfigError


def terms_by_hand(model: PooledNet, x: Tensor, output: int) -> list[np.ndarray]:
    """x dx and b dz of every map in the network, written out layer by layer."""
    leaf, outputs = x.clone().requires_grad_(), []
    value = leaf
    for block in (model.net["stem"], model.net["body"]):
        convolution = block[0](value)
        norm = block[1](convolution)
        outputs += [(block[0].bias, convolution), (implicit_bias(block[1]), norm)]
        value = functional.relu(norm)
    score = model.pooled_head(value.mean((2, 3)))[0, output]
    slopes = torch.autograd.grad(score, [leaf, *[each for _, each in outputs]])
    found = [x[0] * slopes[0][0]]
    found += [bias[:, None, None] * slope[0] for (bias, _), slope in zip(outputs, slopes[1:], strict=True)]
    return [each.detach().double().numpy() for each in found]


def implicit_bias(norm: nn.BatchNorm2d) -> Tensor:
    """What the norm gives for an input of zero."""
    zeros = torch.zeros(1, norm.num_features, 1, 1)
    return norm(zeros)[0, :, 0, 0].detach()


@pytest.mark.parametrize("output", [1, 4])
def test_map_equals_channel_by_channel_resizing(output: int) -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 9, 14)
    (found,) = maps_of("full_grad", model, x, [[Logit((output,))]])
    expected = full_grad(terms_by_hand(model, x, output), (9, 14))
    assert found.shape == (1, 9, 14)
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-4)


def test_every_image_and_class_on_its_own() -> None:
    model, x = seeded(PooledNet()), normal(3, 3, 9, 14)
    together = maps_of("full_grad", model, x, [[Logit((1,)), Logit((0, 2))], [], [Logit((4,))]])
    assert [each.shape for each in together] == [(2, 9, 14), (0, 9, 14), (1, 9, 14)]
    (alone,) = maps_of("full_grad", model, x[2:], [[Logit((4,))]])
    torch.testing.assert_close(together[2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"affine": False}, {"track_running_stats": False}])
def test_bias_of_a_batch_norm_is_its_output_at_zero(options: dict[str, bool]) -> None:
    norm = seeded(nn.BatchNorm2d(4, **options))
    found = find_bias(norm)
    if norm.running_mean is None:  # statistics of the batch: only beta is added
        assert found is not None
        torch.testing.assert_close(found, norm.bias.detach())
    else:
        torch.testing.assert_close(found, implicit_bias(norm))


def test_layers_without_a_bias_add_nothing() -> None:
    assert find_bias(nn.Conv2d(2, 3, 1, bias=False)) is None
    assert find_bias(nn.Linear(2, 3, bias=False)) is None


class NormNet(PooledNet):
    """A norm, and a convolution back to more pixels, between the blocks; on rows where it wants the channels last."""

    def __init__(self, norm: nn.Module, rows: bool = False) -> None:
        super().__init__()
        self.net["norm"], self.net["up"], self.rows = norm, nn.ConvTranspose2d(4, 4, 2, 2), rows

    def steps(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Output of the norm (B, C, h, w), of the transposed convolution, and the features."""
        value = self.net["stem"](x)
        value = value.permute(0, 2, 3, 1) if self.rows else value
        normed = self.net["norm"](value)
        normed = normed.permute(0, 3, 1, 2) if self.rows else normed
        up = self.net["up"](normed.relu())
        return normed, up, self.net["body"](up.relu())

    def features(self, x: Tensor) -> Tensor:
        return self.steps(x)[2]


def take_terms(monkeypatch: pytest.MonkeyPatch, model: PooledNet, x: Tensor) -> list[np.ndarray]:
    """The factors times gradients that the method sums up, each (C, h, w)."""
    terms: list[np.ndarray] = []
    original = _Term.saliency

    def keep(term: _Term, slope: Tensor, row: int) -> Tensor:
        product = term.factor[row] * slope
        terms.append((product if term.channels == 0 else product.permute(2, 0, 1)).detach().numpy())
        return original(term, slope, row)

    monkeypatch.setattr(_Term, "saliency", keep)
    maps_of("full_grad", model, x, [[Logit((1,))]])
    return terms


@pytest.mark.parametrize(
    ("norm", "rows"),
    [(nn.GroupNorm(2, 4), False), (nn.LayerNorm(4), True), (LayerNorm2d(4), False), (nn.LayerNorm((4, 5, 4)), False)],
)
def test_biases_of_norms_and_transposed_convolutions_count(
    norm: nn.Module, rows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = seeded(NormNet(norm, rows)), normal(1, 3, 9, 8)
    normed, up, features = model.steps(x)
    slopes = torch.autograd.grad(model.pooled_head(features.mean((2, 3)))[0, 1], [normed, up])
    beta = norm.bias.detach() if norm.bias.ndim == 3 else norm.bias.detach()[:, None, None]
    expected = [beta * slopes[0][0], model.net["up"].bias.detach()[:, None, None] * slopes[1][0]]
    terms = take_terms(monkeypatch, model, x)
    assert len(terms) == 1 + 2 + 2 + 2  # the image, two blocks, and the two between them
    for found, wanted in zip(terms[3:5], expected, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [nn.LayerNorm, LayerNorm2d])
def test_axis_of_a_layer_norm_where_both_fit(kind: type[nn.LayerNorm]) -> None:
    norm = kind(4)
    assert find_channel_axis(norm, norm.bias, torch.zeros(1, 4, 4, 4)) == (2 if kind is nn.LayerNorm else 0)


def test_a_pooled_vector_and_queries_are_no_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(NormNet):
        def features(self, x: Tensor) -> Tensor:
            found = super().features(x)
            return found + self.net["query"](found.flatten(2)[:, None]).mean()

    model = Other(nn.GroupNorm(2, 4))
    model.net["after"], model.net["query"] = nn.GroupNorm(1, 5), nn.LayerNorm(20)
    model.pooled_head = lambda pooled: model.net["head"](model.net["after"](pooled[:, :, None, None])[:, :, 0, 0])
    assert len(take_terms(monkeypatch, seeded(model), normal(1, 3, 9, 8))) == 7


class RowNet(PooledNet):
    """A linear layer on channels-last maps between the blocks, as ConvNeXt has it."""

    def __init__(self, as_convolution: bool) -> None:
        super().__init__()
        self.net["mix"] = nn.Conv2d(4, 4, 1) if as_convolution else nn.Linear(4, 4)

    def features(self, x: Tensor) -> Tensor:
        value, mix = self.net["stem"](x), self.net["mix"]
        value = mix(value) if isinstance(mix, nn.Conv2d) else mix(value.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.net["body"](value)


def test_a_linear_layer_at_every_position_counts_like_a_1x1_convolution() -> None:
    first, second, x = seeded(RowNet(True)), seeded(RowNet(False)), normal(1, 3, 9, 14)
    second.load_state_dict(
        {name: value.reshape(second.state_dict()[name].shape) for name, value in first.state_dict().items()}
    )
    (found,), (other,) = (maps_of("full_grad", model, x, [[Logit((1,))]]) for model in (first, second))
    torch.testing.assert_close(found, other, rtol=1e-3, atol=1e-4)
    second.net["mix"].bias.data.zero_()
    (without,) = maps_of("full_grad", second, x, [[Logit((1,))]])
    assert not torch.allclose(without, found, rtol=1e-2)


def strip_biases(model: PooledNet) -> PooledNet:
    for block in (model.net["stem"], model.net["body"]):
        block[0].bias = None
    return model


def test_folded_batch_norms_keep_the_map_of_convolutions_without_bias() -> None:
    x = normal(1, 3, 17, 14)
    plain, own = strip_biases(seeded(PooledNet())), seeded(PooledNet())
    before = [maps_of("full_grad", each, x, [[Logit((1,))]])[0] for each in (plain, own)]
    folded = [copy.deepcopy(each) for each in (plain, own)]
    assert [fold_batch_norms(each) for each in folded] == [2, 2]
    after = [maps_of("full_grad", each, x, [[Logit((1,))]])[0] for each in folded]
    torch.testing.assert_close(after[0], before[0], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(after[1], before[1], rtol=1e-2)


def test_a_network_of_zeros_gives_zeros() -> None:
    model = seeded(PooledNet())
    model.net["head"].weight.data.zero_()
    (found,) = maps_of("full_grad", model, normal(1, 3, 9, 14), [[Logit((1,))]])
    assert not found.any()


def test_a_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"full_grad uses every layer: expected no layer, but got 'net\.stem'"):
        build_method("full_grad").check_fit(seeded(PooledNet()), ("net.stem",))


def test_terms_of_a_relu_network_add_up_to_the_score() -> None:
    model, x = seeded(NormNet(nn.Identity())), normal(1, 3, 9, 14)
    trace = Trace(model, x, (None,), frozenset({"bias_gradients"}))
    wanted = [trace.leaf, *[output for _, output in trace.biases.calls]]
    slopes = [rows[0][0] for rows in trace.differentiate(wanted, [[Logit((3,))]])]
    total = (x[0] * slopes[0]).sum()
    for (module, output), slope in zip(trace.biases.calls, slopes[1:], strict=True):
        bias = find_bias(module)
        assert bias is not None
        total = total + (bias.reshape(-1, *[1] * (output.ndim - 2)) * slope).sum()
    torch.testing.assert_close(total, model(x)[0, 3].detach(), rtol=1e-4, atol=1e-5)
