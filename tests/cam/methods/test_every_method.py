"""What every method must keep to, whatever its formula: new methods join by their name in the registry."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.oracles.cam_gradient_methods import maps_of, normal
from tests.oracles.cam_networks import PooledNet, build_tiny_vit, check_same_state, describe_state, seeded
from wsl.cam.call import compute_score_maps
from wsl.cam.engine import compute_pyramids
from wsl.cam.method import CamMethod, build_method, list_methods
from wsl.cam.options import CamOptions
from wsl.cam.targets import Logit, Target
from wsl.cam.trace import Trace
from wsl.errors import ConfigError
from wsl.models.classifier import Classifier

NAMES = list_methods()
TARGETS: list[list[Target]] = [[Logit((2,)), Logit((0, 1))], [], [Logit((1,))]]


def uses_attention(name: str) -> bool:
    return any("attention" in need for need in build_method(name).needs)


def takes_layers(name: str) -> bool:
    return not uses_attention(name) and name not in ("cam", "full_grad")


LAYERED = [name for name in NAMES if takes_layers(name)]
CLASS_FREE = {"attention_rollout", "eigen_cam", "fem", "kpca_cam", "random_cam"}  # the same map for every class
CLASSWISE = [name for name in NAMES if name not in CLASS_FREE]
ANY_TARGET = [name for name in CLASSWISE if name != "finer_cam"]  # which compares logits and refuses other targets


def net_for(name: str) -> Classifier:
    return seeded(build_tiny_vit() if uses_attention(name) else PooledNet())


def images_for(name: str, count: int = 3) -> Tensor:
    return normal(count, 3, *((16, 24) if uses_attention(name) else (13, 22)))


def normalised(maps: Tensor) -> Tensor:
    """Each map divided by its largest absolute value."""
    return maps / maps.flatten(1).abs().amax(1).clamp(min=1e-12)[:, None, None]


def check_equal(first: Sequence[Tensor], second: Sequence[Tensor]) -> None:
    assert len(first) == len(second)
    for ours, other in zip(first, second, strict=True):
        assert ours.shape == other.shape
        torch.testing.assert_close(normalised(ours), normalised(other), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_maps_are_finite_float32_and_not_empty(name: str) -> None:
    maps = maps_of(name, net_for(name), images_for(name), TARGETS)
    assert [len(each) for each in maps] == [2, 0, 1]
    assert len({each.shape[1:] for each in maps}) == 1
    for each in maps:
        assert each.dtype == torch.float32
        assert not each.requires_grad
        assert torch.isfinite(each).all()
    assert maps[0].abs().amax((1, 2)).min() > 0
    assert torch.equal(maps[0][0], maps[0][1]) == (name in CLASS_FREE)


@pytest.mark.parametrize("name", LAYERED)
@pytest.mark.parametrize("size", [(17, 9), (4, 31), (4, 4)])
def test_odd_sizes_down_to_one_cell(name: str, size: tuple[int, int]) -> None:
    model, x = seeded(PooledNet()), normal(1, 3, *size)
    (found,) = maps_of(name, model, x, [[Logit((1,))]], "net.body.2")
    assert found.shape == (1, -(-size[0] // 4), -(-size[1] // 4))
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_its_images_one_by_one(name: str) -> None:
    model, x = net_for(name), images_for(name)
    together = maps_of(name, model, x, TARGETS)
    alone = [maps_of(name, model, x[row : row + 1], TARGETS[row : row + 1])[0] for row in range(3)]
    check_equal(together, alone)


@pytest.mark.parametrize("name", CLASSWISE)
def test_classes_do_not_influence_each_other(name: str) -> None:
    model, x = net_for(name), images_for(name, 1)
    targets = [Logit((2,)), Logit((0, 1)), Logit((1,))]
    (together,) = maps_of(name, model, x, [targets])
    singles = torch.cat([maps_of(name, model, x, [[target]])[0] for target in targets])
    check_equal([together], [singles])


@pytest.mark.parametrize("name", LAYERED)
@pytest.mark.parametrize("layer", ["net.stem.1", "net.body.1"])
def test_layers_in_place_equal_the_same_layers_elsewhere(name: str, layer: str) -> None:
    model, x = seeded(PooledNet()), normal(2, 3, 13, 22)
    plain = copy.deepcopy(model)
    for module in plain.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    targets = [[Logit((2,))], [Logit((0, 1))]]
    check_equal(maps_of(name, model, x, targets, layer), maps_of(name, plain, x, targets, layer))


@pytest.mark.parametrize("name", NAMES)
def test_frozen_networks_and_callers_without_gradients(name: str) -> None:
    model, x = net_for(name), images_for(name)
    expected = maps_of(name, model, x, TARGETS)
    model.requires_grad_(False)
    with torch.no_grad():
        found = maps_of(name, model, x, TARGETS)
        assert not torch.is_grad_enabled()
    for ours, other in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_callers_in_inference_mode_and_networks_in_training_mode(name: str) -> None:
    model, x = net_for(name), images_for(name)
    (expected,) = compute_score_maps(model, x, [[1], [2], [0]], method=name).maps.values()
    model.train()
    before = describe_state(model)
    with torch.inference_mode():
        (found,) = compute_score_maps(model, x, [[1], [2], [0]], method=name).maps.values()
    check_same_state(before, describe_state(model))
    for ours, other in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.scores, other.scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_call_gives_the_same_bytes_and_draws_no_global_numbers(name: str) -> None:
    model, x = net_for(name), images_for(name)
    first = maps_of(name, model, x, TARGETS)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    second = maps_of(name, model, x, TARGETS)
    assert torch.equal(torch.get_rng_state(), before)
    for ours, other in zip(first, second, strict=True):
        assert torch.equal(ours, other)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_finite_and_alike(name: str, kind: torch.dtype) -> None:
    model, x = net_for(name), images_for(name, 1)
    (expected,) = maps_of(name, model, x, [[Logit((1,))]])
    (found,) = maps_of(name, model.to(kind), x.to(kind), [[Logit((1,))]])
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()
    assert torch.corrcoef(torch.stack([found.flatten(), expected.flatten()]))[0, 1] > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_the_network_and_the_images_are_left_as_they_were(name: str) -> None:
    model, x = net_for(name), images_for(name)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before, pixels = describe_state(model), x.clone()
    maps_of(name, model, x, TARGETS)
    check_untouched(model, before)
    assert torch.equal(x, pixels)


def broken(outputs: Tensor) -> Tensor:
    raise ValueError("a target that fails")


@pytest.mark.parametrize("name", ANY_TARGET)
def test_the_network_is_left_as_it_was_by_a_target_that_fails(name: str) -> None:
    model = net_for(name)
    before = describe_state(model)
    with pytest.raises(ValueError, match="a target that fails"):
        maps_of(name, model, images_for(name, 1), [[broken]])
    check_untouched(model, before)
    assert torch.is_grad_enabled()


def check_untouched(model: nn.Module, before: object) -> None:
    check_same_state(before, describe_state(model))  # type: ignore[arg-type]
    assert not any("forward" in vars(module) for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [2, 4])
def test_a_wrong_number_of_targets_is_refused(name: str, count: int) -> None:
    with pytest.raises(ConfigError, match=f"targets: expected one list per image, 3, but got {count}"):
        maps_of(name, net_for(name), images_for(name), [[Logit((1,))]] * count)


@pytest.mark.parametrize("name", NAMES)
def test_a_blank_image_gives_finite_maps(name: str) -> None:
    for value in (0.0, 0.7):
        (found,) = maps_of(name, net_for(name), torch.full_like(images_for(name, 1), value), [[Logit((1,))]])
        assert torch.isfinite(found).all()


@pytest.mark.parametrize("name", LAYERED)
def test_a_dead_layer_gives_zeros(name: str) -> None:
    model = seeded(PooledNet())
    with torch.no_grad():
        model.net["body"][1].weight.zero_()
        model.net["body"][1].bias.fill_(-1)
    for layer in (None, "net.body.2"):
        (found,) = maps_of(name, model, normal(1, 3, 13, 22), [[Logit((1,))]], layer)
        assert found.shape == (1, 4, 6)
        assert found.abs().max() < 1e-12  # KPCA-CAM rounds in double precision


def second_logit(outputs: Tensor) -> Tensor:
    return outputs[:, 1]


@pytest.mark.parametrize("name", ANY_TARGET)
def test_callables_of_the_user_are_targets(name: str) -> None:
    model, x = net_for(name), images_for(name, 2)
    found = maps_of(name, model, x, [[second_logit], [second_logit]])
    check_equal(found, maps_of(name, model, x, [[Logit((1,))], [Logit((1,))]]))


@pytest.mark.parametrize("name", LAYERED)
def test_the_pooled_features_equal_the_layer_that_makes_them(name: str) -> None:
    model, x = seeded(PooledNet()), normal(2, 3, 13, 22)
    targets = [[Logit((2,))], [Logit((0, 1))]]
    check_equal(maps_of(name, model, x, targets), maps_of(name, model, x, targets, "net.body.2"))


@pytest.mark.parametrize("name", LAYERED)
def test_tokens_of_a_transformer(name: str) -> None:
    model, x = seeded(build_tiny_vit()), normal(1, 3, 16, 24)
    (found,) = maps_of(name, model, x, [[Logit((1,))]])
    assert found.shape == (1, 2, 3)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("name", NAMES)
def test_several_methods_share_a_forward_pass(name: str) -> None:
    model, x = net_for(name), images_for(name)
    methods: list[CamMethod] = [build_method(name), build_method("grad_cam"), build_method("layer_cam")]
    layer = None if not takes_layers(name) else ("net.body.2" if isinstance(model, PooledNet) else None)
    trace = Trace(model, x, (layer,), frozenset().union(*(method.needs for method in methods)))
    shared = [method.compute_maps(trace, layer, TARGETS) for method in methods]
    check_equal(shared[0], maps_of(name, model, x, TARGETS, layer))
    check_equal(shared[1], maps_of("grad_cam", model, x, TARGETS, layer))


@pytest.mark.parametrize("name", [name for name in NAMES if uses_attention(name)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_attention_of_two_scales_adds_with_about_the_same_weight(name: str, seed: int) -> None:
    model = seeded(build_tiny_vit(), seed)
    image = np.random.default_rng(seed).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    options = CamOptions(method=name, scales=(1.0, 2.0), flip=False, target="logit")
    (pyramid,) = compute_pyramids(model, [image], ["x"], [(1, 2)], {1: (0,), 2: (1,)}, options)
    coarse, fine = pyramid.levels
    assert fine.shape[1] * fine.shape[2] == 4 * coarse.shape[1] * coarse.shape[2]
    assert 0.5 < coarse.mean() / fine.mean() < 2
