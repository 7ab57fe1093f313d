"""Dense CRF (Kraehenbuehl and Koltun 2011) over the labels of one image, computed by pydensecrf."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError, MissingExtraError, suggest
from wsl.refine.presets import PRESETS, CrfConstants
from wsl.refine.refiner import REFINERS, Evidence, RefineInput, Refiner, check_at_least

UNARIES = ("labels", "scores")
LOWEST_SCORE = np.float32(1e-5)
# The backend counts lattice corners in 32-bit integers and keeps their coordinates in 16-bit ones.
MOST_CORNERS = 2**31 - 1
LARGEST_COORDINATE = 32000.0


def _load_backend() -> Any:
    try:
        import pydensecrf.densecrf as backend
    except ImportError:
        raise MissingExtraError("refine.method=dense_crf", "pydensecrf2", "crf", "set refine.method=pamr") from None
    return backend


def compute_label_unary(seed_index: NDArray[np.intp], labels: int, gt_prob: float) -> NDArray[np.float32]:
    """Energies float32 (labels, H, W) of hard labels: -log(gt_prob) for the label, the rest shared by the others.

    seed_index: (H, W) with 0..labels-1, or -1 where the label is not known (all labels equal). labels >= 2.
    gt_prob in (0, 1): how far the hard labels are believed.
    """
    others = np.float32(-np.log((1 - gt_prob) / (labels - 1)))
    unary = np.full((labels, *seed_index.shape), others, np.float32)
    for label in range(labels):
        unary[label][seed_index == label] = np.float32(-np.log(gt_prob))
    unary[:, seed_index < 0] = np.float32(np.log(labels))
    return unary


def compute_score_unary(evidence: Evidence) -> NDArray[np.float32]:
    """Energies float32 of the same shape: -log(clip(evidence, 1e-5, 1)), not renormalised over the labels (PSA)."""
    unary: NDArray[np.float32] = -np.log(np.clip(evidence, LOWEST_SCORE, np.float32(1)))
    return unary


def compute_largest_coordinate(extents: tuple[float, ...]) -> float:
    """Upper bound of the lattice coordinates for features in [0, extents[i]] (Adams et al. 2010)."""
    dimension = len(extents)
    steps = np.arange(1, dimension + 1)
    scaled = np.asarray(extents) * (dimension + 1) * np.sqrt(2 / 3) / np.sqrt(steps * (steps + 1))
    return float(max(scaled.sum(), (scaled * steps).max()) + dimension + 1)


def check_fits_lattice(size: tuple[int, int], labels: int, constants: CrfConstants) -> None:
    """Raises ConfigError or DataError where the backend would overflow, which it does not notice by itself.

    size: (height, width) of the image.
    """
    height, width = size
    if height * width * max(labels, 6) > MOST_CORNERS:
        raise DataError(f"dense_crf: an image of {height}x{width} with {labels} labels is too large; resize it first.")
    place, colour = constants.bilateral_sxy, constants.bilateral_srgb
    lattices = {
        "gaussian_sxy": (width / constants.gaussian_sxy, height / constants.gaussian_sxy),
        "bilateral_sxy or bilateral_srgb": (width / place, height / place, *[255 / colour] * 3),
    }
    for option, extents in lattices.items():
        if compute_largest_coordinate(extents) > LARGEST_COORDINATE:
            raise ConfigError(f"refine.{option} is too small for an image of {height}x{width}; use a larger value.")


@REFINERS.register("dense_crf")
@dataclass(frozen=True)
class DenseCrf(Refiner):
    """Mean field in a CRF whose pixels are all joined, by nearness and by nearness + colour (Potts, symmetric norm).

    preset: one of `PRESETS`; every other option replaces that constant of it, None leaves it.
    iterations: mean-field steps. gaussian_sxy, bilateral_sxy: standard deviations in pixels; bilateral_srgb: in
    grey levels; *_compat: weight of the term, 0 leaves it out. unary: `labels` believes the seeds with
    probability `gt_prob`, 255 being equal for all labels; `scores` takes -log of [background, scores].
    Only the image's own K + 1 labels take part. Evidence is the mean field Q, which sums to 1 over the labels.
    """

    preset: str = "irn"
    iterations: int | None = None
    gaussian_sxy: float | None = None
    gaussian_compat: float | None = None
    bilateral_sxy: float | None = None
    bilateral_srgb: float | None = None
    bilateral_compat: float | None = None
    unary: str | None = None
    gt_prob: float = 0.7

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"refine.preset: unknown value '{self.preset}'.{suggest(self.preset, PRESETS)}")
        constants = self.constants
        if constants.unary not in UNARIES:
            raise ConfigError(f"refine.unary: unknown value '{constants.unary}'.{suggest(constants.unary, UNARIES)}")
        if not isinstance(constants.iterations, int):
            raise ConfigError(f"refine.iterations: expected a whole number, but got {constants.iterations}.")
        check_at_least("refine.iterations", constants.iterations, 1)
        for name in ("gaussian_sxy", "bilateral_sxy", "bilateral_srgb"):
            check_at_least(f"refine.{name}", getattr(constants, name), 0, strictly=True)
        for name in ("gaussian_compat", "bilateral_compat"):
            check_at_least(f"refine.{name}", getattr(constants, name), 0)
        if not 0 < self.gt_prob < 1:
            raise ConfigError(f"refine.gt_prob: expected a value above 0 and below 1, but got {self.gt_prob}.")

    @property
    def constants(self) -> CrfConstants:
        """The preset's constants with the given options in their place."""
        base = PRESETS[self.preset]
        own = {field.name: getattr(self, field.name) for field in fields(CrfConstants)}
        return CrfConstants(**{name: getattr(base, name) if own[name] is None else own[name] for name in own})

    @property
    def needs(self) -> str:
        return "seeds" if self.constants.unary == "labels" else "scores"

    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        labels = len(inputs.class_ids) + 1
        check_fits_lattice(inputs.size, labels, self.constants)
        if self.constants.unary == "labels":
            unary = compute_label_unary(inputs.seed_index(), labels, self.gt_prob)
        else:
            unary = compute_score_unary(inputs.stack())
        return compute_mean_field(inputs.image, unary, self.constants)


def compute_mean_field(
    image: NDArray[np.uint8], unary: NDArray[np.float32], constants: CrfConstants
) -> NDArray[np.float32]:
    """Mean field Q float32 (L, H, W), sums to 1 over the labels.

    image: uint8 (H, W, 3). unary: energies float32 (L, H, W), L >= 2, finite. The caller has checked the sizes.
    Raises MissingExtraError when pydensecrf is not installed.
    """
    backend = _load_backend()
    labels, height, width = unary.shape
    field = backend.DenseCRF2D(width, height, labels)
    field.setUnaryEnergy(np.ascontiguousarray(unary.reshape(labels, -1), np.float32))
    if constants.gaussian_compat > 0:
        sxy = constants.gaussian_sxy
        field.addPairwiseGaussian(sxy=(sxy, sxy), compat=float(constants.gaussian_compat))
    if constants.bilateral_compat > 0:
        sxy, srgb = constants.bilateral_sxy, constants.bilateral_srgb
        # The backend refuses read-only and strided images, so it gets a copy of its own.
        field.addPairwiseBilateral(
            sxy=(sxy, sxy),
            srgb=(srgb, srgb, srgb),
            rgbim=np.array(image, order="C"),
            compat=float(constants.bilateral_compat),
        )
    result = np.array(field.inference(constants.iterations), np.float32)
    return np.ascontiguousarray(result.reshape(labels, height, width))
