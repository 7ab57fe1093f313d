"""Dense CRF (Kraehenbuehl and Koltun 2011) over the labels of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, suggest
from wsl.refine.crf.backends import BACKENDS, build_inference
from wsl.refine.crf.kernels import Kernel
from wsl.refine.crf.scaled import enlarge_probabilities, find_small_size, shrink_features, shrink_planes
from wsl.refine.crf.tiles import Blend, Tiling, choose_tiling, crop_input
from wsl.refine.crf.unary import compute_label_unary, compute_logit_unary, compute_score_unary
from wsl.refine.crf.wrapping import wrap_image
from wsl.refine.presets import PRESETS, CrfConstants
from wsl.refine.refiner import REFINERS, Evidence, RefineInput, Refiner, check_at_least

UNARIES = ("labels", "scores", "logits")
WIDTHS = ("gaussian_sxy", "bilateral_sxy", "bilateral_srgb")


@REFINERS.register("dense_crf")
@dataclass(frozen=True)
class DenseCrf(Refiner):
    """Mean field in a CRF whose pixels are all joined, by nearness and by nearness + colour (Potts, symmetric norm).

    preset: one of `PRESETS`; iterations to unary, and wrap_uint8, replace that constant of it, None leaves it.
    iterations: mean-field steps. gaussian_sxy, bilateral_sxy: standard deviations in pixels; bilateral_srgb: in
    grey levels; *_compat: weight of the term, 0 leaves it out. unary: `labels` believes the seeds with
    probability `gt_prob`, 255 being equal for all labels; `scores` takes -log of [background, scores]; `logits` takes
    their -log softmax. wrap_uint8: CLIP-ES's published mistake, see `wsl.refine.crf.wrapping`; RGB images only.
    size_reference: sxy are meant for images of this longest side in pixels, and grow and shrink with the image; None =
    sxy as they are. tolerance: stop early when the mean |dQ| of a step is below (0 = never). scale: work at 1/scale of
    the image's size. Both change labels, so they are off.
    tile, tile_overlap: in pixels; the longest side of a tile and how much neighbours share, see `choose_tiling`. With
    tile None, images above 4 million pixels are refined in tiles of 1536, so memory is bounded.
    backend: one of `BACKENDS`; `auto` = compiled with numba where it is there, else NumPy and SciPy.
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
    wrap_uint8: bool | None = None
    size_reference: float | None = None
    tolerance: float = 0.0
    scale: float = 1.0
    tile: int | None = None
    tile_overlap: int | None = None
    backend: str = "auto"

    def __post_init__(self) -> None:
        _check_known("preset", self.preset, PRESETS)
        _check_known("unary", self.constants.unary, UNARIES)
        _check_known("backend", self.backend, BACKENDS)
        _check_constants(self.constants)
        if not 0 < self.gt_prob < 1:
            raise ConfigError(f"refine.gt_prob: expected a value above 0 and below 1, but got {self.gt_prob}.")
        check_at_least("refine.tolerance", self.tolerance, 0)
        check_at_least("refine.scale", self.scale, 1)
        if self.size_reference is not None:
            check_at_least("refine.size_reference", self.size_reference, 0, strictly=True)
        if self.tolerance > 0 and self.backend == "pydensecrf":
            raise ConfigError("refine.tolerance: backend=pydensecrf cannot stop early; use 0 or another backend.")
        self._check_tiles()

    def _check_tiles(self) -> None:
        for name, least in (("tile", 2), ("tile_overlap", 0)):
            value = getattr(self, name)
            if value is not None:
                _check_whole(name, value, least)
        if self.tile is not None and self.tile_overlap is not None and self.tile_overlap >= self.tile:
            raise ConfigError(
                f"refine.tile_overlap: expected less than the tile of {self.tile} pixels, but got {self.tile_overlap}."
            )

    @property
    def constants(self) -> CrfConstants:
        """The preset's constants with the given options in their place."""
        given = {field.name: getattr(self, field.name) for field in fields(CrfConstants)}
        return replace(PRESETS[self.preset], **{name: value for name, value in given.items() if value is not None})

    @property
    def needs(self) -> str:
        return "seeds" if self.constants.unary == "labels" else "scores"

    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        return self.compute_all([inputs])[0]

    def compute_all(self, inputs: Sequence[RefineInput]) -> list[Evidence]:
        """The lattices are built once: the label sets must be of one image."""
        constants = fit_widths(self.constants, inputs[0].size, self.size_reference)
        reach = max(constants.gaussian_sxy, constants.bilateral_sxy)
        tiling = choose_tiling(inputs[0].size, self.tile, self.tile_overlap, reach)
        if tiling is None:
            return self._refine(inputs, constants)
        return self._refine_tiles(inputs, constants, tiling)

    def _refine_tiles(self, inputs: Sequence[RefineInput], constants: CrfConstants, tiling: Tiling) -> list[Evidence]:
        blends = [Blend(len(one.class_ids) + 1, one.size, tiling.overlap) for one in inputs]
        for window in tiling.list_windows(inputs[0].size):
            evidences = self._refine([crop_input(one, window) for one in inputs], constants)
            for blend, evidence in zip(blends, evidences, strict=True):
                blend.add(window, evidence)
        return [blend.finish() for blend in blends]

    def _refine(self, inputs: Sequence[RefineInput], constants: CrfConstants) -> list[Evidence]:
        features = wrap_image(inputs[0].features) if constants.wrap_uint8 else inputs[0].features
        unaries = [self.compute_unary(one) for one in inputs]
        if self.scale == 1:
            return self._infer(features, unaries, constants)
        size = inputs[0].size
        small = find_small_size(size, self.scale)
        shrunk = [shrink_planes(unary, small) for unary in unaries]
        results = self._infer(shrink_features(features, small), shrunk, divide_widths(constants, self.scale))
        return [enlarge_probabilities(result, size) for result in results]

    def _infer(
        self, features: NDArray[Any], unaries: Sequence[NDArray[np.float32]], constants: CrfConstants
    ) -> list[Evidence]:
        infer = build_inference(features, make_kernels(constants), self.backend)
        return [
            _make_uniform(unary) if _says_nothing(unary) else infer(unary, constants.iterations, self.tolerance)
            for unary in unaries
        ]

    def compute_unary(self, inputs: RefineInput) -> NDArray[np.float32]:
        """Energies float32 (K + 1, H, W) of the image's seeds or scores."""
        if self.constants.unary == "labels":
            return compute_label_unary(inputs.seed_index(), len(inputs.class_ids) + 1, self.gt_prob)
        stacked = inputs.stack()
        return compute_score_unary(stacked) if self.constants.unary == "scores" else compute_logit_unary(stacked)


def _says_nothing(unary: NDArray[np.float32]) -> bool:
    """Whether all labels are alike everywhere: mean field stays there, but rounding would blow up to labels."""
    return bool((unary == unary[0]).all())


def _make_uniform(unary: NDArray[np.float32]) -> Evidence:
    return np.full(unary.shape, 1 / len(unary), np.float32)


def make_kernels(constants: CrfConstants) -> list[Kernel]:
    """The nearness kernel and the nearness and colour kernel."""
    return [
        Kernel(constants.gaussian_sxy, constants.gaussian_compat),
        Kernel(constants.bilateral_sxy, constants.bilateral_compat, constants.bilateral_srgb),
    ]


def fit_widths(constants: CrfConstants, size: tuple[int, int], size_reference: float | None) -> CrfConstants:
    """Widths in pixels for an image of `size`, where the constants are meant for a longest side of `size_reference`."""
    return constants if size_reference is None else divide_widths(constants, size_reference / max(size))


def divide_widths(constants: CrfConstants, divisor: float) -> CrfConstants:
    """The constants with both sxy over `divisor`."""
    return replace(
        constants, gaussian_sxy=constants.gaussian_sxy / divisor, bilateral_sxy=constants.bilateral_sxy / divisor
    )


def _check_constants(constants: CrfConstants) -> None:
    _check_whole("iterations", constants.iterations, 1)
    for name in WIDTHS:
        check_at_least(f"refine.{name}", getattr(constants, name), 0, strictly=True)
    for name in ("gaussian_compat", "bilateral_compat"):
        check_at_least(f"refine.{name}", getattr(constants, name), 0)
    if not isinstance(constants.wrap_uint8, bool):
        raise ConfigError(f"refine.wrap_uint8: expected true or false, but got {constants.wrap_uint8}.")


def _check_whole(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"refine.{name}: expected a whole number, but got {value}.")
    check_at_least(f"refine.{name}", value, least)


def _check_known(name: str, value: str, known: Sequence[str] | dict[str, CrfConstants]) -> None:
    if value not in known:
        raise ConfigError(f"refine.{name}: unknown value '{value}'.{suggest(value, known)}")
