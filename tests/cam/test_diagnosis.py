"""Maps that say nothing are told once, with their cause."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from tests.oracles.cam_networks import PooledNet, build_tiny_vit, seeded
from wsl.cam.diagnosis import forget_warnings
from wsl.cam.engine import compute_pyramids
from wsl.cam.options import CamOptions
from wsl.models.classifier import Classifier

GROUPS = {1: (0,)}


@pytest.fixture(autouse=True)
def fresh() -> None:
    forget_warnings()


def warnings_of(
    caplog: pytest.LogCaptureFixture, model: Classifier, value: int | None = None, times: int = 2, **options: object
) -> list[str]:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    if value is not None:
        image[:] = value
    chosen = CamOptions(scales=(1.0,), flip=False, **options)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING, "wsl"):
        for _ in range(times):
            compute_pyramids(model, [image], ["a"], [(1,)], GROUPS, chosen)
    return [record.getMessage() for record in caplog.records]


def test_a_good_map_is_not_talked_about(caplog: pytest.LogCaptureFixture) -> None:
    assert warnings_of(caplog, seeded(PooledNet())) == []


def test_a_dead_layer_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    model = seeded(PooledNet())
    model.net["body"][1].bias.data.fill_(-100.0)
    (told,) = warnings_of(caplog, model)
    assert told.startswith("Cam, layer before the pooling: the map is zero because the layer's activation is zero")


def test_no_gradient_behind_the_last_attention(caplog: pytest.LogCaptureFixture) -> None:
    model = seeded(build_tiny_vit())
    layer = "net.encoder.layers.encoder_layer_1.mlp"
    (told,) = warnings_of(caplog, model, method="grad_cam", layers=(layer,))
    assert "the class scores have no gradient there" in told
    assert layer in told


def test_a_blank_image_is_told(caplog: pytest.LogCaptureFixture) -> None:
    model = seeded(PooledNet())
    for module in model.modules():  # without padding nothing but the image makes a difference
        if isinstance(module, torch.nn.Conv2d):
            module.padding = (0, 0)
    (told,) = warnings_of(caplog, model, value=77)
    assert "a blank image?" in told


def test_overflow_is_told(caplog: pytest.LogCaptureFixture) -> None:
    model = seeded(PooledNet())
    model.net["body"][1].weight.data.fill_(float("inf"))
    (told,) = warnings_of(caplog, model)
    assert "the layer's activation has NaN or inf" in told


def test_a_second_network_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        model = seeded(PooledNet())
        model.net["body"][1].bias.data.fill_(-100.0)
        told = warnings_of(caplog, model)
    assert len(told) == 2


def test_a_single_position_is_told(caplog: pytest.LogCaptureFixture) -> None:
    model = seeded(PooledNet())
    model.net["body"].append(torch.nn.AdaptiveAvgPool2d(1))
    (told,) = warnings_of(caplog, model)
    assert "the map has one position only" in told
