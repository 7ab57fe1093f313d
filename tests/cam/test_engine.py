"""The whole call: images and classes in, pyramids out, the classifier untouched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.oracles.cam_maps import cam_of_pooled_linear
from tests.oracles.cam_networks import FlatNet, PooledNet, build_tiny_vit, check_same_state, describe_state, seeded
from wsl.cam import methods
from wsl.cam.engine import compute_pyramids
from wsl.cam.inputs import input_size, stack_images
from wsl.cam.method import list_methods
from wsl.cam.options import CamOptions
from wsl.cam.preset import PRESETS, Preset
from wsl.cam.pyramid import MapPyramid
from wsl.data.resizing import scale_image
from wsl.errors import ConfigError, ModelError

GROUPS = {1: (0,), 2: (1, 4), 3: (2, 3, 5)}
OPTIONS = CamOptions(scales=(1.0, 0.5))


def draw(count: int = 3, size: tuple[int, int] = (41, 66)) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def run(
    model: nn.Module,
    class_ids: list[tuple[int, ...] | None],
    options: CamOptions = OPTIONS,
    images: list[np.ndarray] | None = None,
) -> list[MapPyramid]:
    images = draw(len(class_ids)) if images is None else images
    return compute_pyramids(model, images, [str(i) for i in range(len(images))], class_ids, GROUPS, options)


def check_equal(found: MapPyramid, expected: MapPyramid, tolerance: float = 1e-5) -> None:
    assert found.class_ids == expected.class_ids
    for first, second in zip(found.levels, expected.levels, strict=True):
        np.testing.assert_allclose(first, second, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=1e-5)


@pytest.mark.parametrize("fusion", ["sum", "max"])
@pytest.mark.parametrize("relu", ["each", "none"])
def test_one_level_equals_loops_clip_and_flip(fusion: str, relu: str) -> None:
    model, image = seeded(PooledNet()), draw(1)[0]
    preset = Preset(relu=relu, flip_fusion=fusion)
    (found,) = run(model, [(2,)], CamOptions(scales=(1.5,), preset=preset), [image])
    size = input_size((41, 66), None, 1.5, 4, preset)
    x = stack_images([image], size, model.mean, model.std)
    with torch.no_grad():
        features = [model.features(each)[0].double().numpy() for each in (x, x.flip(3))]
    weight, bias = model.net["head"].weight.detach().double().numpy(), model.net["head"].bias.detach().numpy()
    maps = [cam_of_pooled_linear(each, weight, bias, GROUPS[2]) for each in features]
    maps = [np.maximum(each, 0) for each in maps] if relu == "each" else maps
    expected = (np.add if fusion == "sum" else np.maximum)(maps[0], maps[1][:, ::-1])
    assert found.levels[0].shape == (1, 16, 25)
    np.testing.assert_allclose(found.levels[0][0], expected, rtol=1e-4, atol=1e-4)


def test_probabilities_are_the_mean_logits_of_image_and_mirror_at_scale_one() -> None:
    model, images = seeded(PooledNet()), draw(2)
    found = run(model, [(1,), (1,)], CamOptions(scales=(2.0, 1.0, 0.5)), images)
    x = stack_images(images, (41, 66), model.mean, model.std)
    with torch.no_grad():
        logits = (model(x) + model(x.flip(3))) / 2
    expected = torch.stack([torch.logsumexp(logits[:, list(group)], 1) for group in GROUPS.values()], 1).sigmoid()
    for row in range(2):
        np.testing.assert_allclose(found[row].probabilities, expected[row].numpy(), rtol=1e-5)
        assert found[row].known_ids == (1, 2, 3)
        assert [level.shape[1:] for level in found[row].levels] == [(21, 33), (11, 17), (8, 9)]


@pytest.mark.parametrize("method", ["cam", "grad_cam"])
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_batch_of_three_equals_three_batches_of_one(method: str, preset: str) -> None:
    model, images = seeded(PooledNet(nn.LayerNorm(5))), draw(3)
    wanted = [(3, 1), (), None]
    options = CamOptions(method=method, scales=(1.0, 0.5), preset=PRESETS[preset])
    together = run(model, wanted, options, images)
    assert [each.class_ids for each in together[:2]] == [(1, 3), ()]
    assert together[1].levels[0].shape[0] == 0
    for row in range(3):
        (alone,) = run(model, [wanted[row]], options, [images[row]])
        check_equal(together[row], replace(alone, image_id=str(row)))


def test_cam_equals_grad_cam_through_the_whole_call() -> None:
    model = seeded(PooledNet())
    for first, second in zip(
        run(model, [(1, 2), (3,)]), run(model, [(1, 2), (3,)], replace(OPTIONS, method="grad_cam")), strict=True
    ):
        check_equal(first, second, 1e-4)


def test_a_mirrored_image_gives_mirrored_maps() -> None:
    model, (image,) = seeded(PooledNet()), draw(1, (40, 64))
    (found,) = run(model, [(1, 2, 3)], OPTIONS, [image])
    (mirrored,) = run(model, [(1, 2, 3)], OPTIONS, [np.ascontiguousarray(image[:, ::-1])])
    np.testing.assert_allclose(mirrored.levels[0][:, :, ::-1], found.levels[0], rtol=1e-4, atol=1e-4)


def test_classes_are_chosen_by_threshold_where_none_are_given() -> None:
    model = seeded(PooledNet())
    probabilities = run(model, [(1,)])[0].probabilities
    for threshold in (0.0, float(np.sort(probabilities)[1]), 1.0):
        (found,) = run(model, [None], replace(OPTIONS, class_threshold=threshold))
        assert found.class_ids == tuple(c for c, p in zip((1, 2, 3), probabilities, strict=True) if p >= threshold)
        assert len(found.levels[0]) == len(found.class_ids)


def test_classes_without_a_group_get_no_map() -> None:
    assert run(seeded(PooledNet()), [(2, 7)])[0].class_ids == (2,)


@pytest.mark.parametrize("size", [(1, 1), (5, 90), (33, 31)])
@pytest.mark.parametrize("build", [PooledNet, build_tiny_vit])
def test_images_of_any_size(size: tuple[int, int], build: type[nn.Module]) -> None:
    method = "cam" if build is PooledNet else "grad_cam"
    groups = {1: (0,)}
    (found,) = compute_pyramids(
        seeded(build()), draw(1, size), ["a"], [(1,)], groups, CamOptions(method=method, scales=(1.0, 0.5))
    )
    assert found.size == size
    assert all(np.isfinite(level).all() and level.size for level in found.levels)


def test_callers_without_gradients_or_in_inference_mode_get_the_same_maps() -> None:
    for method, model in (("cam", seeded(PooledNet(nn.LayerNorm(5)))), ("grad_cam", seeded(PooledNet()))):
        options = replace(OPTIONS, method=method)
        (expected,) = run(model, [(1, 2)], options)
        for mode in (torch.no_grad(), torch.inference_mode()):
            with mode:
                (found,) = run(model, [(1, 2)], options)
            check_equal(found, expected, 0)
        model.requires_grad_(False)
        check_equal(run(model, [(1, 2)], options)[0], expected, 0)


@pytest.mark.parametrize("method", ["cam", "grad_cam"])
def test_a_model_in_training_is_left_as_it_was(method: str) -> None:
    model = seeded(PooledNet()).train()
    model.net["stem"].eval()
    model.net["head"].weight.grad = torch.ones_like(model.net["head"].weight)
    before, random = describe_state(model), torch.get_rng_state()
    (found,) = run(model, [(1, 2)], replace(OPTIONS, method=method))
    check_same_state(before, describe_state(model))
    assert torch.equal(torch.get_rng_state(), random)
    check_equal(found, run(model.eval(), [(1, 2)], replace(OPTIONS, method=method))[0], 0)


def test_a_model_is_left_as_it_was_after_an_error() -> None:
    model = seeded(FlatNet()).train()
    before = describe_state(model)
    with pytest.raises(ModelError, match=r"cam\.method=grad_cam"):
        run(model, [(1,)])
    with pytest.raises(RuntimeError):  # the head fits one image size only: it fails behind the hooked layer
        run(model, [(1,)], replace(OPTIONS, method="grad_cam"))
    check_same_state(before, describe_state(model))
    assert torch.is_grad_enabled()


def test_half_precision_is_close() -> None:
    model = seeded(PooledNet())
    (expected,) = run(model, [(1, 2)])
    (found,) = run(model, [(1, 2)], replace(OPTIONS, precision="bfloat16"))
    for first, second in zip(found.levels, expected.levels, strict=True):
        assert first.dtype == np.float32
        assert np.abs(first - second).max() < 0.05 * np.abs(second).max()


def test_mistakes_are_named() -> None:
    images = [*draw(1, (40, 40)), *draw(1, (40, 41))]
    with pytest.raises(ModelError, match=r"Expected images of one size per call, but got \[\(40, 40\), \(40, 41\)\]"):
        run(seeded(PooledNet()), [(1,), (1,)], OPTIONS, images)
    with pytest.raises(ConfigError, match=r"cam.class_threshold: expected a probability in \[0, 1\], but got 1.1"):
        run(seeded(PooledNet()), [None], replace(OPTIONS, class_threshold=1.1))
    with pytest.raises(ConfigError, match=r"Unknown CAM method 'gradcam'. Did you mean: grad_cam\?"):
        run(seeded(PooledNet()), [(1,)], replace(OPTIONS, method="gradcam"))


def test_the_methods_are_known_by_their_file_names() -> None:
    files = sorted(path.stem for path in Path(methods.__path__[0]).glob("*.py") if path.stem != "__init__")
    assert list_methods() == files


def test_probabilities_come_from_the_trained_view_when_it_is_known() -> None:
    """The square that training saw, mirrored too, whatever the scales of the maps."""
    network = seeded(PooledNet())
    options = CamOptions(scales=(2.0,), predict_side=48, label_mode="single")
    images = draw(1)
    pyramid = run(network, [(1,)], options, images)[0]
    batch = stack_images([scale_image(images[0], (48, 48))], (48, 48), network.mean, network.std)
    with torch.no_grad():
        logits = torch.stack([network(batch)[0], network(batch.flip(3))[0]]).mean(0)
    expected = [logits.softmax(0)[list(outputs)].sum().item() for outputs in GROUPS.values()]
    np.testing.assert_allclose(pyramid.probabilities, expected, rtol=1e-4)
