"""Random walk (AffinityNet, Ahn and Kwak 2018; IRN, Ahn et al. 2019): scores spread to cells that are alike."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError, suggest
from wsl.refine.refiner import REFINERS, Evidence, RefineInput, Refiner, check_at_least
from wsl.refine.walk.affinity import BORDERS, Affinity, cut_borders
from wsl.refine.walk.attention import compute_attention_affinity, find_token_grid, mask_boxes, spread_attention
from wsl.refine.walk.constants import AFFINITIES, NORMALISERS, PRESETS, WalkConstants
from wsl.refine.walk.features import compute_colour_affinity, compute_feature_affinity
from wsl.refine.walk.gradient import compute_gradient_edges
from wsl.refine.walk.grid import choose_stride, enlarge, fit_edges, grid_size, resize, shrink
from wsl.refine.walk.paths import check_edges, compute_path_affinity
from wsl.refine.walk.power import walk

GUIDED = ("edges", "features", "attention")
MOST_STEPS_LOG2 = 16


@REFINERS.register("random_walk")
@dataclass(frozen=True)
class RandomWalk(Refiner):
    """2^steps_log2 steps of a walk between near cells, P = A^beta / column sums; planes become means of their like.

    preset: one of `PRESETS`; every other option replaces that constant of it, None leaves it.
    affinity: `gradient` (strongest slope of the image on the path between two cells), `colour` (exp of the squared
    difference; `colour_sigma` in grey levels), or from the guide: `edges` (strongest edge on the path, (h, w) in
    [0, 1]), `features` (exp of the mean difference, (C, h, w), resized to the grid), `attention` ((layers, N, N); no
    radius, no stride: `layers`, `sinkhorn`, steps of the N tokens, scores only inside boxes above `box_threshold` of
    the maximum, 0 = everywhere). radius: in cells. stride: pixels per cell, less where the shorter side would have
    under 32 cells. sharpen: exponent of the scores before. damp_edges: scores * (1 - edge) before, as IRN.
    borders: see `cut_borders`. normalise: scores / the largest of all classes (`global`), of each class (`class`),
    (score - least) / (largest - least) of each class (`range`), or as they are (`none`); last of all, at full size.
    Evidence: the background is the input's, as it came; with walk_background (AffinityNet) it walks too, unsharpened.
    """

    preset: str = "gradient"
    affinity: str | None = None
    beta: float | None = None
    steps_log2: int | None = None
    radius: int | None = None
    stride: int | None = None
    sharpen: float | None = None
    normalise: str | None = None
    borders: str | None = None
    damp_edges: bool | None = None
    walk_background: bool | None = None
    colour_sigma: float | None = None
    layers: int | None = None
    sinkhorn: int | None = None
    box_threshold: float | None = None

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"refine.preset: unknown value '{self.preset}'.{suggest(self.preset, PRESETS)}")
        check_constants(self.constants)

    @property
    def constants(self) -> WalkConstants:
        """The preset's constants with the given options in their place."""
        base = PRESETS[self.preset]
        own = {field.name: getattr(self, field.name) for field in fields(WalkConstants)}
        return WalkConstants(**{name: getattr(base, name) if own[name] is None else own[name] for name in own})

    @property
    def needs(self) -> str:
        return "scores"

    @property
    def guide(self) -> str:
        kind = self.constants.affinity
        return kind if kind in GUIDED else ""

    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        constants = self.constants
        planes = inputs.scores ** np.float32(constants.sharpen)
        if constants.walk_background:
            planes = np.concatenate([inputs.background[None], planes])
        spread = spread_by_attention if constants.affinity == "attention" else spread_by_walk
        walked = spread(planes, inputs, constants)
        background = walked[:1] if constants.walk_background else inputs.background[None]
        scores = walked[1:] if constants.walk_background else walked
        return np.concatenate([background, normalise(scores, constants.normalise)])


def spread_by_walk(planes: Evidence, inputs: RefineInput, constants: WalkConstants) -> Evidence:
    """float32 (K, H, W): the planes after the walk on the grid of the image."""
    stride = choose_stride(inputs.size, constants.stride)
    affinity, edges = compute_affinity(inputs, constants, stride)
    coarse = shrink(planes, stride)
    if constants.damp_edges and edges is not None:
        coarse *= 1 - edges
    walked = walk(coarse, cut_borders(affinity, constants.borders), constants.beta, 2**constants.steps_log2)
    return enlarge(walked, stride, inputs.size)


def compute_affinity(
    inputs: RefineInput, constants: WalkConstants, stride: int
) -> tuple[Affinity, NDArray[np.float32] | None]:
    """(affinity, edge map or None) on the grid of an image; DataError for a guide that does not fit."""
    grid, radius = grid_size(inputs.size, stride), constants.radius
    if constants.affinity == "features":
        return compute_feature_affinity(resize(take_guide(inputs, "features", (3,)), grid), radius), None
    if constants.affinity == "edges":
        given = take_guide(inputs, "edges", (2,))
        check_edges(given)
        edges = fit_edges(given, inputs.size, stride)
        return compute_path_affinity(edges, radius), edges
    bands = shrink(np.moveaxis(inputs.features, -1, 0), stride)
    if constants.affinity == "colour":
        return compute_colour_affinity(bands, radius, constants.colour_sigma), None
    edges = compute_gradient_edges(bands)
    return compute_path_affinity(edges, radius), edges


def spread_by_attention(planes: Evidence, inputs: RefineInput, constants: WalkConstants) -> Evidence:
    """float32 (K, H, W): the planes after steps over the tokens of the guide."""
    matrix = compute_attention_affinity(take_guide(inputs, "attention", (2, 3)), constants.layers, constants.sinkhorn)
    coarse = resize(planes, find_token_grid(len(matrix), inputs.size))
    if constants.box_threshold > 0:
        coarse = coarse * mask_boxes(coarse, constants.box_threshold)
    powered = matrix ** np.float32(constants.beta)
    return resize(spread_attention(coarse, powered, 2**constants.steps_log2), inputs.size)


def take_guide(inputs: RefineInput, kind: str, dimensions: tuple[int, ...]) -> NDArray[np.float32]:
    """The guide, which must be there and have one of these numbers of dimensions; DataError otherwise."""
    if inputs.guide is None:
        raise DataError(
            f"refine.affinity={kind} needs a guide of kind '{kind}' for each image, but got None; "
            "give one, or set refine.affinity=gradient."
        )
    guide = np.asarray(inputs.guide, np.float32)
    if guide.ndim not in dimensions or guide.size == 0:
        raise DataError(f"guide: expected {kind} of {dimensions} dimensions, but got shape {guide.shape}.")
    return guide


def normalise(scores: Evidence, how: str) -> Evidence:
    """Scores (K, H, W) divided as `RandomWalk` says; all-zero planes stay 0."""
    if how == "none":
        return scores
    if how == "range":
        scores = scores - scores.min(axis=(1, 2), keepdims=True)
    largest = scores.max() if how == "global" else scores.max(axis=(1, 2), keepdims=True)
    divided: Evidence = scores / np.where(largest > 0, largest, np.float32(1))
    return divided


def check_constants(constants: WalkConstants) -> None:
    """Raises ConfigError for values that no walk can have."""
    for name, known in (("affinity", AFFINITIES), ("normalise", NORMALISERS), ("borders", BORDERS)):
        value = getattr(constants, name)
        if value not in known:
            raise ConfigError(f"refine.{name}: unknown value '{value}'.{suggest(str(value), known)}")
    for name, least in (("steps_log2", 0), ("radius", 1), ("stride", 1), ("layers", 0), ("sinkhorn", 0)):
        value = getattr(constants, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(f"refine.{name}: expected a whole number, but got {value}.")
        check_at_least(f"refine.{name}", value, least)
    if constants.steps_log2 > MOST_STEPS_LOG2:
        raise ConfigError(f"refine.steps_log2: expected at most {MOST_STEPS_LOG2}, but got {constants.steps_log2}.")
    for name in ("beta", "sharpen", "colour_sigma"):
        check_at_least(f"refine.{name}", getattr(constants, name), 0, strictly=True)
    if not 0 <= constants.box_threshold < 1:
        raise ConfigError(f"refine.box_threshold: expected a value in [0, 1), but got {constants.box_threshold}.")
