"""SEC's constrain-to-boundary loss: probabilities are pulled to what a dense CRF makes of them."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from wsl.errors import ConfigError, DataError
from wsl.refine.crf.torch_field import TorchField
from wsl.refine.dense_crf import make_kernels
from wsl.refine.presets import PRESETS, CrfConstants

LEAST_PROBABILITY = 1e-4
DSRG_RATIOS = (0.05, 20.0)
LOWEST_SCORE = 1e-5


def constrain_loss(probabilities: Tensor, refined: Tensor, ratios: tuple[float, float] | None = None) -> Tensor:
    """Scalar mean over images and pixels of sum_c q log(q / p) (Kolesnikov and Lampert 2016, eq. 5).

    probabilities: p floating (B, L, H, W), above 0; the gradient flows through them. refined: q of the same shape,
    what a CRF made of p; clipped at 1e-4 and divided by its sum, and the gradient stops there, as SEC's does.
    ratios: q / p is clipped to these; None = SEC; `DSRG_RATIOS` = DSRG (which also lets some gradient through its CRF:
    that part is not taken over).
    """
    if probabilities.shape != refined.shape or probabilities.ndim != 4:
        raise DataError(
            f"constrain loss: expected p and q of one shape (B, L, H, W), but got {tuple(probabilities.shape)} and "
            f"{tuple(refined.shape)}."
        )
    target = refined.detach().to(probabilities.dtype).clamp(min=LEAST_PROBABILITY)
    target = target / target.sum(1, keepdim=True)
    ratio = target / probabilities
    if ratios is not None:
        ratio = ratio.clamp(*ratios)
    return (target * ratio.log()).sum(1).mean()


def refine_probabilities(probabilities: Tensor, images: Tensor, preset: str = "sec_train") -> Tensor:
    """q float32 (B, L, h, w): the mean field of a dense CRF on probabilities (B, L, h, w), without gradient.

    images: RGB in 0..255, real (B, C, H, W), of any size; they are resized to (h, w) and rounded to whole grey levels.
    preset: `sec_train` (energies -log p), `dsrg_train` (DSRG takes p for logits) or any other of `PRESETS` whose unary
    is not `labels`. Runs on the device of the probabilities.
    """
    constants = _find_constants(preset)
    if len(images) != len(probabilities):
        raise DataError(f"images: expected {len(probabilities)} as there are probabilities, but got {len(images)}.")
    scores = probabilities.detach().float()
    features = shrink_images(images.to(scores.device), (scores.shape[2], scores.shape[3]))
    energies = -scores.clamp(LOWEST_SCORE, 1).log() if constants.unary == "scores" else -scores.log_softmax(1)
    return TorchField(features, make_kernels(constants)).infer(energies, constants.iterations)


def shrink_images(images: Tensor, size: tuple[int, int]) -> Tensor:
    """float32 (B, C, *size) of whole numbers in 0..255: bilinear between the corners' centres, as SEC's zoom."""
    resized = functional.interpolate(images.float(), size=size, mode="bilinear", align_corners=True)
    return resized.round().clamp(0, 255)


def compute_constrain_loss(probabilities: Tensor, images: Tensor, preset: str = "sec_train") -> Tensor:
    """`constrain_loss` against `refine_probabilities`; the ratio is clipped for `dsrg_train`."""
    refined = refine_probabilities(probabilities, images, preset)
    return constrain_loss(probabilities, refined, DSRG_RATIOS if preset == "dsrg_train" else None)


def _find_constants(preset: str) -> CrfConstants:
    known = [name for name, constants in PRESETS.items() if constants.unary != "labels" and not constants.wrap_uint8]
    if preset not in known:
        raise ConfigError(f"preset: expected one of {', '.join(known)}, but got '{preset}'.")
    return PRESETS[preset]
