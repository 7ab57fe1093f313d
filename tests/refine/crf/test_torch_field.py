from __future__ import annotations

import numpy as np
import pytest
import torch

from wsl.errors import ConfigError, DataError
from wsl.refine.crf import DenseField, Kernel
from wsl.refine.crf.torch_field import TorchField

KERNELS = (Kernel(3, 3), Kernel(20, 10, 12))


def make_batch(size: tuple[int, int], channels: int = 3, batch: int = 3) -> torch.Tensor:
    """Coloured blocks with noise, (B, C, H, W) in 0..255."""
    generator = torch.Generator().manual_seed(sum(size) + channels)
    blocks = torch.rand((batch, channels, -(-size[0] // 8), -(-size[1] // 8)), generator=generator) * 220
    blocks = blocks.repeat_interleave(8, 2).repeat_interleave(8, 3)[..., : size[0], : size[1]]
    return blocks + 10 * torch.rand(blocks.shape, generator=generator)


def make_unary(size: tuple[int, int], labels: int, batch: int = 3) -> torch.Tensor:
    return 3 * torch.rand((batch, labels, *size), generator=torch.Generator().manual_seed(labels))


def infer_one_by_one(features: torch.Tensor, unary: torch.Tensor, kernels: tuple[Kernel, ...]) -> np.ndarray:
    planes = features.permute(0, 2, 3, 1).numpy()
    return np.stack([DenseField(image, kernels).infer(one.numpy()) for image, one in zip(planes, unary, strict=True)])


@pytest.mark.parametrize("labels", [1, 2, 5])
@pytest.mark.parametrize(("size", "channels"), [((1, 1), 3), ((9, 13), 1), ((32, 40), 3), ((17, 23), 5)])
def test_a_batch_is_its_images_one_by_one(size: tuple[int, int], channels: int, labels: int) -> None:
    """Sizes with H * W both a multiple of 4 and not: the padding of each image is its own."""
    features, unary = make_batch(size, channels), make_unary(size, labels)
    found = TorchField(features, KERNELS).infer(unary)
    np.testing.assert_allclose(found.numpy(), infer_one_by_one(features, unary, KERNELS), atol=1e-3)


@pytest.mark.parametrize(
    "compat", [np.array([-3.0, -1.0, -2.0]), np.array([[0.0, 2, 1], [2, 0, 3], [1, 3, 0]]), np.float32(4)]
)
def test_label_compatibility(compat: np.ndarray) -> None:
    features, unary = make_batch((16, 20)), make_unary((16, 20), 3)
    kernels = (Kernel(3, 3), Kernel(20, compat, (12, 10, 14)), Kernel(5, 0))
    found = TorchField(features, kernels).infer(unary)
    np.testing.assert_allclose(found.numpy(), infer_one_by_one(features, unary, kernels), atol=1e-3)


def test_images_do_not_see_each_other() -> None:
    features, unary = make_batch((12, 16)), make_unary((12, 16), 3)
    together = TorchField(features, KERNELS).infer(unary)
    features[1:], unary[1:] = 0, 0
    torch.testing.assert_close(TorchField(features, KERNELS).infer(unary)[0], together[0], atol=1e-4, rtol=0)


def test_one_field_serves_many_unaries_and_repeats_its_bits() -> None:
    field = TorchField(make_batch((16, 20)), KERNELS)
    first = field.infer(make_unary((16, 20), 2))
    field.infer(make_unary((16, 20), 5))
    assert torch.equal(field.infer(make_unary((16, 20), 2)), first)


def test_constant_images_and_whole_numbers() -> None:
    features = torch.full((2, 3, 10, 12), 7, dtype=torch.uint8)
    unary = make_unary((10, 12), 2, 2).double()
    found = TorchField(features, KERNELS).infer(unary)
    assert found.dtype == torch.float32
    wanted = infer_one_by_one(features, unary, KERNELS)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-3)


def test_an_image_that_stands_still_is_stopped_alone() -> None:
    features, unary = make_batch((12, 16), batch=2), make_unary((12, 16), 2, 2)
    unary[0, 0] += 40  # decided from the start
    found = TorchField(features, KERNELS).infer(unary, 6, tolerance=1e-6)
    np.testing.assert_allclose(found.numpy(), TorchField(features, KERNELS).infer(unary, 6).numpy(), atol=1e-4)
    once = TorchField(features, KERNELS).infer(unary, 6, tolerance=1.0)
    torch.testing.assert_close(once, TorchField(features, KERNELS).infer(unary, 1))


def test_no_gradient() -> None:
    unary = make_unary((8, 8), 2).requires_grad_()
    assert not TorchField(make_batch((8, 8)), KERNELS).infer(unary).requires_grad


@pytest.mark.parametrize(
    ("features", "error"),
    [
        (torch.zeros(3, 8, 8), DataError),
        (torch.zeros(0, 3, 8, 8), DataError),
        (torch.full((1, 3, 8, 8), float("nan")), DataError),
        (torch.full((1, 3, 8, 8), 1e9), ConfigError),
        (torch.zeros(1, 2, 8, 8), ConfigError),
    ],
)
def test_bad_features(features: torch.Tensor, error: type[Exception]) -> None:
    with pytest.raises(error):
        TorchField(features, [Kernel(3, 1), Kernel(5, 1, (5, 5, 5))])


BAD_UNARIES = (
    torch.zeros(2, 8, 8),
    torch.zeros(3, 2, 8, 9),
    torch.zeros(3, 0, 8, 8),
    torch.full((3, 2, 8, 8), torch.inf),
)


@pytest.mark.parametrize("unary", BAD_UNARIES)
def test_bad_unaries(unary: torch.Tensor) -> None:
    with pytest.raises(DataError, match="unary: expected"):
        TorchField(make_batch((8, 8)), KERNELS).infer(unary)


@pytest.mark.parametrize("options", [{"iterations": -1}, {"tolerance": float("nan")}])
def test_bad_options(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected at least 0"):
        TorchField(make_batch((8, 8)), KERNELS).infer(make_unary((8, 8), 2), **options)  # type: ignore[arg-type]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="NO CUDA DEVICE: the torch field was tested on the CPU only")
def test_a_gpu_gives_what_the_cpu_gives() -> None:
    features, unary = make_batch((33, 41)), make_unary((33, 41), 3)
    field = TorchField(features.cuda(), KERNELS)
    found = field.infer(unary.cuda())
    assert torch.equal(field.infer(unary.cuda()), found)
    np.testing.assert_allclose(found.cpu().numpy(), TorchField(features, KERNELS).infer(unary).numpy(), atol=1e-3)
