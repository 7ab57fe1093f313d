"""Score-CAM in its three variants against loops, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.cam_masked import (
    activation_of,
    flat_net,
    logits_of,
    run_method,
    score_by,
    score_cam,
    score_cam_official,
)
from tests.oracles.cam_networks import PooledNet, build_tiny_vit, check_same_state, describe_state, seeded
from wsl.cam.method import build_method
from wsl.cam.targets import Difference, Logit, Probability
from wsl.cam.trace import Trace
from wsl.errors import ConfigError
from wsl.models.build import build_classifier

VARIANTS = ["paper", "official", "grad_cam"]


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("group", [(1,), (0, 2, 3)])
@pytest.mark.parametrize("constant", [False, True])
def test_paper_variant_equals_the_loop(group: tuple[int, ...], constant: bool) -> None:
    model, x = flat_net(constant), normal(1, 3, 8, 8)
    (found,) = run_method("score_cam", model, x, [logits_of(group)])
    expected = score_cam(x[0].double().numpy(), activation_of(model, x), score_by(model, Logit(group)))
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-5)


def test_grad_cam_variant_equals_the_loop() -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    (found,) = run_method("score_cam", model, x, [logits_of((2,))], variant="grad_cam")
    score = score_by(model, Logit((2,)))
    inputs = x[0].double().numpy(), activation_of(model, x), score
    expected = score_cam(*inputs, align_corners=True, epsilon=1e-8)
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-5)
    assert abs(expected - score_cam(*inputs)).max() > 1e-2  # the corners matter


def test_official_variant_equals_the_loop_at_the_size_of_the_image() -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    (found,) = run_method("score_cam", model, x, [logits_of((2,), (0, 1))], variant="official")
    assert found.shape == (2, 8, 8)
    for row, group in enumerate([(2,), (0, 1)]):
        probability = score_by(model, Probability(group))
        expected = score_cam_official(x[0].double().numpy(), activation_of(model, x), probability)
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_targets_may_be_any_callables(variant: str) -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    target = Difference(Logit((1,)), (Logit((0,)), Logit((2,))), 0.6)
    (found,) = run_method("score_cam", model, x, [[target, lambda outputs: outputs[:, 1] ** 2]], variant=variant)
    inputs = x[0].double().numpy(), activation_of(model, x)
    for row, each in enumerate([target, lambda outputs: outputs[:, 1] ** 2]):
        if variant == "official":
            expected = score_cam_official(*inputs, score_by(model, each))
        else:
            expected = score_cam(*inputs, score_by(model, each), align_corners=variant == "grad_cam")
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("build", [lambda: PooledNet(channels=7), flat_net, build_tiny_vit])
def test_chunks_and_batches_do_not_change_the_maps(build: object, variant: str) -> None:
    model, x = seeded(build()), normal(3, 3, 8, 8)  # type: ignore[operator]
    targets = [logits_of((0,), (1, 2)), [], logits_of((2,))]
    together = run_method("score_cam", model, x, targets, variant=variant, batch_size=64)
    chunked = run_method("score_cam", model, x, targets, variant=variant, batch_size=3)
    assert [len(maps) for maps in together] == [2, 0, 1]
    for row in range(3):
        (alone,) = run_method("score_cam", model, x[row : row + 1], [targets[row]], variant=variant)
        assert together[row].shape[1:] == together[0].shape[1:]
        torch.testing.assert_close(chunked[row], together[row], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone, together[row], rtol=1e-4, atol=1e-5)


def test_tokens_of_a_transformer_are_masks() -> None:
    model, x = seeded(build_tiny_vit()), normal(1, 3, 16, 24)
    (found,) = run_method("score_cam", model, x, [logits_of((1,))])
    trace = Trace(model, x, (None,))
    activation = trace.activation(None)[0].double().numpy()
    expected = score_cam(x[0].double().numpy(), activation, score_by(model, Logit((1,))))
    assert found.shape == (1, 2, 3)
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-5)


def test_an_early_layer_and_odd_sizes() -> None:
    model, x = seeded(PooledNet()), normal(1, 3, 9, 13)
    (found,) = run_method("score_cam", model, x, [logits_of((3,))], "net.stem.1")
    with torch.no_grad():
        activation = model.net["stem"][1](model.net["stem"][0](x))[0].double().numpy()
    assert (activation < 0).any()
    expected = score_cam(x[0].double().numpy(), activation, score_by(model, Logit((3,))))
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-5)


def test_fewer_channels_are_the_method_on_those_that_vary_most() -> None:
    model, x = flat_net(), normal(1, 3, 8, 8)
    (found,) = run_method("score_cam", model, x, [logits_of((1,))], channels=3)
    activation = activation_of(model, x)
    kept = sorted(np.argsort(activation.std((1, 2)))[-3:])
    expected = score_cam(x[0].double().numpy(), activation[kept], score_by(model, Logit((1,))))
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-5)


def test_constant_images_weigh_all_channels_alike() -> None:
    model, x = seeded(PooledNet(channels=4)), normal(1, 3, 4, 4)  # one cell: every channel is constant
    (found,) = run_method("score_cam", model, x, [logits_of((1,))])
    torch.testing.assert_close(found[0], Trace(model, x).activation(None)[0].mean(0))
    (official,) = run_method("score_cam", model, x, [logits_of((1,))], variant="official")
    assert (official == 0).all()


def test_not_finite_activations_stay_visible() -> None:
    x = normal(1, 3, 8, 8)
    x[0, 0, 0, 0] = torch.nan
    (found,) = run_method("score_cam", flat_net(), x, [logits_of((1,))])
    assert found.isnan().any()


def count_predictions(model: torch.nn.Module, x: torch.Tensor, classes: int, **options: int) -> tuple[int, int]:
    """Images that went through the network after the recorded pass, and channels that are not constant."""
    trace, seen = Trace(model, x), []  # type: ignore[arg-type, var-annotated]
    handle = model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    build_method("score_cam", **options).compute_maps(trace, None, [logits_of(*[(c,) for c in range(classes)])])
    handle.remove()
    flat = trace.activation(None)[0].flatten(1)
    return sum(seen), int((flat.amax(1) > flat.amin(1)).sum())


def test_one_set_of_forward_passes_scores_every_class() -> None:
    model, _ = build_classifier("resnet18", num_outputs=7)
    for classes in (1, 5):
        predictions, live = count_predictions(model, normal(1, 3, 48, 48), classes, channels=100, batch_size=24)
        assert live >= 100
        assert predictions == 100 + 1
    predictions, live = count_predictions(flat_net(), normal(1, 3, 8, 8), 4)
    assert (predictions, live) == (5 + 1, 5)


def test_the_model_is_left_as_it_was() -> None:
    model = flat_net()
    before = describe_state(model)
    run_method("score_cam", model, normal(1, 3, 8, 8), [logits_of((1,))])
    check_same_state(before, describe_state(model))


def test_unknown_variant() -> None:
    with pytest.raises(ConfigError, match=r"cam.options.variant: unknown value 'papers'. Did you mean: paper\?"):
        build_method("score_cam", variant="papers")
