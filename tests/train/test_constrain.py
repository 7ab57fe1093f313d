from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.oracles.refine_constrain import constrain
from wsl.errors import ConfigError, DataError
from wsl.refine.crf import DenseField
from wsl.refine.dense_crf import make_kernels
from wsl.refine.presets import PRESETS
from wsl.train.constrain import (
    DSRG_RATIOS,
    compute_constrain_loss,
    constrain_loss,
    refine_probabilities,
    shrink_images,
)


def make_probabilities(seed: int = 0, shape: tuple[int, ...] = (2, 3, 4, 5)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(4 * torch.randn(shape, generator=generator, dtype=torch.float64), 1)


@pytest.mark.parametrize("ratios", [None, DSRG_RATIOS])
def test_loss_against_the_loops(ratios: tuple[float, float] | None) -> None:
    probabilities, refined = make_probabilities(0), make_probabilities(1)
    wanted = constrain(probabilities.numpy(), refined.numpy(), ratios)
    assert float(constrain_loss(probabilities, refined, ratios)) == pytest.approx(wanted, rel=1e-12)


def test_loss_by_hand() -> None:
    probabilities = torch.tensor([0.25, 0.75], dtype=torch.float64).reshape(1, 2, 1, 1)
    refined = torch.tensor([0.5, 0.5], dtype=torch.float64).reshape(1, 2, 1, 1)
    wanted = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert float(constrain_loss(probabilities, refined)) == pytest.approx(wanted)
    assert float(constrain_loss(probabilities, probabilities)) == pytest.approx(0, abs=1e-12)


def test_the_ratio_of_dsrg_is_clipped() -> None:
    probabilities = torch.tensor([1e-3, 1 - 1e-3], dtype=torch.float64).reshape(1, 2, 1, 1)
    refined = torch.tensor([1.0, 0.0], dtype=torch.float64).reshape(1, 2, 1, 1)
    share = 1e-4 / (1 + 1e-4)
    wanted = (1 - share) * math.log(20) + share * math.log(0.05)
    assert float(constrain_loss(probabilities, refined, DSRG_RATIOS)) == pytest.approx(wanted)


def test_gradient_of_the_probabilities() -> None:
    probabilities = (make_probabilities(2) / 2 + 1 / 6).requires_grad_()  # far from 0, where differences are coarse
    assert torch.autograd.gradcheck(lambda p: constrain_loss(p, make_probabilities(3)), (probabilities,))


def test_no_gradient_flows_through_the_crf() -> None:
    probabilities = make_probabilities(4, (1, 3, 6, 7)).requires_grad_()
    images = torch.randint(0, 256, (1, 3, 12, 14), generator=torch.Generator().manual_seed(0))
    compute_constrain_loss(probabilities, images).backward()
    refined = refine_probabilities(probabilities, images)
    assert not refined.requires_grad
    target = refined.double().clamp(min=1e-4)
    target = target / target.sum(1, keepdim=True)
    assert probabilities.grad is not None
    torch.testing.assert_close(probabilities.grad, -target / probabilities.detach() / (6 * 7))


@pytest.mark.parametrize("preset", ["sec_train", "dsrg_train"])
def test_the_crf_is_that_of_the_field(preset: str) -> None:
    probabilities = make_probabilities(5, (2, 4, 41, 41)).float()
    images = torch.randint(0, 256, (2, 3, 41, 41), generator=torch.Generator().manual_seed(1))
    found = refine_probabilities(probabilities, images, preset)
    for image, own, one in zip(images, probabilities, found, strict=True):
        energies = -own.log() if preset == "sec_train" else -own
        field = DenseField(image.permute(1, 2, 0).numpy(), make_kernels(PRESETS[preset]))
        np.testing.assert_allclose(one.numpy(), field.infer(energies.clamp(max=-math.log(1e-5)).numpy()), atol=1e-3)


def test_dsrg_clips_the_ratio_and_sec_does_not() -> None:
    probabilities = torch.tensor([1e-6, 1 - 1e-6]).reshape(1, 2, 1, 1).expand(1, 2, 4, 4)
    images = torch.zeros(1, 3, 4, 4)
    q = refine_probabilities(probabilities, images, "dsrg_train")
    found = compute_constrain_loss(probabilities, images, "dsrg_train")
    torch.testing.assert_close(found, constrain_loss(probabilities, q, DSRG_RATIOS))
    assert not torch.isclose(found, constrain_loss(probabilities, q))


def test_images_are_resized_between_their_corners_and_rounded() -> None:
    row = torch.tensor([0.0, 10.0, 25.0]).reshape(1, 1, 1, 3)
    torch.testing.assert_close(shrink_images(row, (1, 2)), torch.tensor([[[[0.0, 25.0]]]]))
    torch.testing.assert_close(shrink_images(row, (1, 5)), torch.tensor([[[[0.0, 5, 10, 18, 25]]]]))


def test_bad_input() -> None:
    with pytest.raises(DataError, match="expected p and q of one shape"):
        constrain_loss(make_probabilities(), make_probabilities(0, (2, 3, 4, 4)))
    with pytest.raises(DataError, match="expected 2 as there are probabilities, but got 1"):
        refine_probabilities(make_probabilities(), torch.zeros(1, 3, 4, 5))
    with pytest.raises(ConfigError, match="preset: expected one of"):
        refine_probabilities(make_probabilities(), torch.zeros(2, 3, 4, 5), "irn")
