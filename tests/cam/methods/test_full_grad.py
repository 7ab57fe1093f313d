"""FullGrad against channel-by-channel resizing, completeness of its terms, and folded batch norms."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.oracles.cam_gradient_methods import full_grad, maps_of, normal
from tests.oracles.cam_networks import PooledNet, seeded
from wsl.cam.fold import fold_batch_norms
from wsl.cam.method import build_method
from wsl.cam.methods.full_grad import find_bias
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
    model, x = seeded(PooledNet()), normal(1, 3, 9, 14)
    trace = Trace(model, x, (None,), frozenset({"bias_gradients"}))
    wanted = [trace.leaf, *[output for _, output in trace.biases.calls]]
    slopes = [rows[0][0] for rows in trace.differentiate(wanted, [[Logit((3,))]])]
    total = (x[0] * slopes[0]).sum()
    for (module, output), slope in zip(trace.biases.calls, slopes[1:], strict=True):
        bias = find_bias(module)
        assert bias is not None
        total = total + (bias.reshape(-1, *[1] * (output.ndim - 2)) * slope).sum()
    torch.testing.assert_close(total, model(x)[0, 3].detach(), rtol=1e-4, atol=1e-5)
