"""The stateless call: any network, any kind of images, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from torch import nn
from torchvision.models import resnet18
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from tests.oracles.cam_networks import PooledNet, check_same_state, describe_state, seeded
from wsl.cam.call import compute_score_maps
from wsl.cam.engine import compute_pyramids
from wsl.cam.options import CamOptions
from wsl.cam.preset import PRESETS
from wsl.cam.pyramid import fuse
from wsl.cam.targets import Difference, Logit, Region
from wsl.errors import ConfigError, DataError, ModelError
from wsl.types import Sample

RNG = np.random.default_rng(4)


def draw(*sizes: tuple[int, int]) -> list[np.ndarray]:
    return [RNG.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


class Plain(nn.Module):
    """A network as users have it: no `Classifier`."""

    def __init__(self, outputs: int = 5) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(inplace=True)
        )
        self.fc = nn.Linear(8, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.body(x).mean((2, 3)))


def plain() -> Plain:
    return seeded(Plain())


def test_cam_of_a_plain_network_by_hand() -> None:
    model, x = plain(), torch.randn(2, 3, 33, 47, generator=torch.Generator().manual_seed(1))
    result = compute_score_maps(model, x, [[0, 3], [2]], method="cam", preset="psa")
    with torch.no_grad():
        features, logits = model.body(x), model(x)
    torch.testing.assert_close(result.logits, logits)
    assert [each.class_ids for each in result.score_maps] == [(1, 4), (3,)]
    for row, outputs in ((0, [0, 3]), (1, [2])):
        raw = torch.einsum("kc,chw->khw", model.fc.weight[outputs], features[row]).clamp(min=0).detach()
        big = nn.functional.interpolate(raw[None], (33, 47), mode="bilinear")[0]
        expected = big / (big.amax((1, 2), keepdim=True) + 1e-5)
        np.testing.assert_allclose(result.score_maps[row].scores, expected.numpy(), atol=1e-5)
        np.testing.assert_allclose(
            result.score_maps[row].class_scores, logits[row].softmax(0)[outputs].numpy(), rtol=1e-5
        )


def test_arrays_of_several_sizes_keep_their_order() -> None:
    model, images = plain(), draw((40, 50), (64, 33), (40, 50))
    together = compute_score_maps(model, images, [[0], [1, 2], []], method=["cam", "layer_cam"], scales=(1.0, 0.7))
    assert sorted(together.maps) == ["cam", "layer_cam"]
    for row, outputs in ((0, [0]), (1, [1, 2])):
        for method, maps in together.maps.items():
            alone = compute_score_maps(model, [images[row]], [outputs], method=method, scales=(1.0, 0.7))
            np.testing.assert_allclose(maps[row].scores, alone.score_maps[0].scores, atol=1e-5)
            np.testing.assert_allclose(together.logits[row], alone.logits[0], atol=1e-5)
    assert together.maps["cam"][2].scores.shape == (0, 40, 50)
    with pytest.raises(ConfigError, match=r"expected one method, but there are \['cam', 'layer_cam'\]"):
        _ = together.score_maps


def test_several_methods_share_one_forward_pass() -> None:
    model, x, calls = plain(), torch.randn(1, 3, 32, 32), []
    compute_score_maps(model, x, [0], method="cam")  # the probes of an unknown network are over
    handle = model.body[0].register_forward_hook(lambda *_: calls.append(1))
    compute_score_maps(model, x, [0, 1, 2], method=["cam", "grad_cam", "layer_cam", "eigen_cam"], layers=())
    handle.remove()
    assert len(calls) == 1


def test_the_same_maps_as_the_pipeline_makes() -> None:
    model, images = seeded(PooledNet()), draw((41, 66), (41, 66))
    options = CamOptions(scales=(1.0, 0.5), flip=True)
    pyramids = compute_pyramids(model, images, ["0", "1"], [(1,), (2, 3)], {i + 1: (i,) for i in range(6)}, options)
    result = compute_score_maps(model, images, [[0], [1, 2]], method="cam", scales=(1.0, 0.5), flip=True)
    for found, pyramid in zip(result.score_maps, pyramids, strict=True):
        np.testing.assert_allclose(found.scores, fuse(pyramid, PRESETS["irn"]).scores, atol=1e-6)


def test_samples_are_read(tmp_path: Path) -> None:
    (image,) = draw((40, 52))
    PillowImage.fromarray(image).save(tmp_path / "a.png")
    sample = Sample(image_id="a", image_path=tmp_path / "a.png", class_ids=(1,))
    model = plain()
    found = compute_score_maps(model, [sample], [1]).score_maps[0]
    np.testing.assert_array_equal(found.scores, compute_score_maps(model, [image], [1]).score_maps[0].scores)


def test_without_outputs_the_highest_logit_is_explained() -> None:
    model, images = plain(), draw((40, 52), (44, 52))
    result = compute_score_maps(model, images)
    assert [each.class_ids for each in result.score_maps] == [(int(each) + 1,) for each in result.logits.argmax(1)]


def test_callables_are_targets() -> None:
    model, images = plain(), draw((40, 52))
    difference = Difference(Logit((0,)), (Logit((1,)),))
    found = compute_score_maps(model, images, [difference, lambda logits: logits[:, 0] - logits[:, 1]], preset="psa")
    assert found.score_maps[0].class_ids == (1, 2)
    np.testing.assert_allclose(found.score_maps[0].scores[0], found.score_maps[0].scores[1], atol=1e-5)


def test_layers_by_name_and_by_stages() -> None:
    model, images = resnet18(num_classes=4).eval(), draw((64, 96))
    one = compute_score_maps(model, images, [1], layers="layer4", preset="psa").score_maps[0]
    auto = compute_score_maps(model, images, [1], method="cam", preset="psa").score_maps[0]
    np.testing.assert_allclose(one.scores, auto.scores, atol=1e-4)
    stages = compute_score_maps(model, images, [1], layers="stages").score_maps[0]
    named = compute_score_maps(model, images, [1], layers=["layer2", "layer3", "layer4"]).score_maps[0]
    np.testing.assert_allclose(stages.scores, named.scores, atol=1e-5)
    with pytest.raises(ModelError, match=r"has no layer 'net.layer5'. Did you mean: net.layer"):
        compute_score_maps(model, images, [1], layers="layer5")


def test_a_segmentation_network() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3).eval()
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(64, 96, dtype=torch.bool)
    mask[20:40, 30:60] = True
    result = compute_score_maps(model, x, [Region(1, mask)], preset="paper")
    assert result.logits.shape == (1, 3, 64, 96)
    assert result.score_maps[0].scores.shape == (1, 64, 96)
    assert result.score_maps[0].scores.max() > 0.9
    with pytest.raises(ConfigError, match=r"give targets such as Region"):
        compute_score_maps(model, x, [1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_networks(dtype: torch.dtype) -> None:
    model, images = plain(), draw((40, 52))
    expected = compute_score_maps(model, images, [0, 1], method=["cam", "grad_cam", "layer_cam"])
    found = compute_score_maps(plain().to(dtype), images, [0, 1], method=["cam", "grad_cam", "layer_cam"])
    for method, maps in found.maps.items():
        np.testing.assert_allclose(maps[0].scores, expected.maps[method][0].scores, atol=0.06, err_msg=method)


@pytest.mark.parametrize("layers", [(), ("body.1",)])
def test_the_network_is_left_as_it_came(layers: tuple[str, ...]) -> None:
    model = plain().train()
    model.requires_grad_(False)
    before = describe_state(model)
    with torch.inference_mode():
        found = compute_score_maps(model, draw((40, 52)), [0], layers=layers)
    assert np.isfinite(found.score_maps[0].scores).all()
    check_same_state(before, describe_state(model))


def test_a_region_is_mirrored_and_scaled_with_the_image() -> None:
    """A network whose outputs are its input's channels: the map of a region lies in the region."""

    class Copy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 1)
            self.last = nn.Conv2d(4, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.stem(x))

    mask = torch.zeros(40, 64, dtype=torch.bool)
    mask[:, :16] = True
    x = torch.rand(1, 3, 40, 64, generator=torch.Generator().manual_seed(2)) + 0.5
    result = compute_score_maps(
        seeded(Copy()), x, [Region(1, mask)], method="grad_cam_elementwise", layers="stem", preset="psa",
        flip=True, scales=(1.0, 0.5),
    )  # fmt: skip
    scores = result.score_maps[0].scores[0]
    assert scores[:, :16].sum() > 0.9 * scores.sum() > 0


@pytest.mark.parametrize("target", [lambda out: out[0, 0], lambda out: 1.0, lambda out: out[:, :1]])
def test_a_target_of_another_shape_is_named(target: object) -> None:
    for method in ("grad_cam", "score_cam", "cam"):
        with pytest.raises(ModelError, match=r"expected scores of shape \(\d+,\), one per image"):
            compute_score_maps(plain(), draw((40, 52)), [target], method=method, layers=())


def test_a_detached_target_is_named() -> None:
    with pytest.raises(ModelError, match="a target detaches the outputs"):
        compute_score_maps(plain(), draw((40, 52)), [lambda out: out[:, 0].detach()], layers="body.1")


def test_outputs_may_be_one_number_or_an_array() -> None:
    model, images = plain(), draw((40, 52))
    for outputs in (2, np.array([2]), torch.tensor([2]), [np.int64(2)], [[2]]):
        assert compute_score_maps(model, images, outputs).score_maps[0].class_ids == (3,)
    mixed = compute_score_maps(model, images, [lambda out: out[:, 1], 0]).score_maps[0]
    assert mixed.class_ids == (6, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"outputs": [[1.5]]}, "expected lists of output indices or target callables"),
        ({"outputs": [["cat"]]}, "expected lists of output indices or target callables"),
        ({"outputs": [1, 1]}, "expected each output once"),
        ({"method": []}, "expected the name of a method"),
        ({"scales": 1.0}, "expected a list of factors"),
        ({"predict_side": 16}, "unknown setting 'predict_side'"),
        ({"label_mode": "banana"}, "label_mode: expected one of single, multi"),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compute_score_maps(plain(), draw((40, 52)), **arguments)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"expected uint8 arrays \(H, W, 3\) or Samples, but got a str"):
        compute_score_maps(plain(), ["a.png"])  # type: ignore[list-item]


def test_mistakes_are_named() -> None:
    model, images = plain(), draw((40, 52))
    with pytest.raises(ConfigError, match=r"outputs: expected indices in 0..4, but got 5"):
        compute_score_maps(model, images, [5])
    with pytest.raises(ConfigError, match=r"outputs: expected one list per image, 1, but got 2"):
        compute_score_maps(model, images, [[0], [1]])
    with pytest.raises(DataError, match=r"images: expected float \(B, 3, H, W\), but got torch.uint8"):
        compute_score_maps(model, torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(DataError, match=r"expected a list of uint8 \(H, W, 3\), but got an array"):
        compute_score_maps(model, images[0])
    with pytest.raises(ConfigError, match=r"Unknown CAM method 'gradcam'"):
        compute_score_maps(model, images, method="gradcam")
    with pytest.raises(ConfigError, match=r"Unknown CAM preset"):
        compute_score_maps(model, images, preset="irm")
