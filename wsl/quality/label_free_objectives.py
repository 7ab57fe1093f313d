"""How good is a way to make label maps? Objectives that look at images, score maps and label maps, never at the truth.

They rate a whole way from scores to labels (thresholds, refiner, label rule), given as a function, on one image; the
mean over images says which of several ways is the better one. `benchmarks/study_objectives.py` measures how far each
orders ways as the true mIoU does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_image, check_label_map, check_same_size, check_scores
from wsl.errors import DataError
from wsl.registry import Registry
from wsl.seeds.label_free.lab import to_lab
from wsl.seeds.label_free.normalised_cut import affinities, sum_degrees
from wsl.seeds.labels import check_class_ids, label_from_scores
from wsl.types import BACKGROUND, IGNORE, Image, LabelMap, Scores

MakeLabels = Callable[[Scores], LabelMap]  # scores (K, H, W) of one image -> its label map, 255 = not sure


@dataclass(frozen=True)
class UnlabelledCase:
    """One image without truth.

    image: uint8 (H, W, 3). scores: float32 (K, H, W) in [0, 1] of `class_ids`. views: scores of the same classes and
    size, each made in another way (one per scale), at least two for the objectives that need views. threshold: the
    score above which a class is taken for present when nothing is refined, best chosen by a label-free rule
    (`wsl.seeds.label_free.LabelFree`) on all images together.
    """

    image: Image
    scores: Scores
    views: tuple[Scores, ...]
    class_ids: tuple[int, ...]
    threshold: float

    def __post_init__(self) -> None:
        check_image(self.image)
        check_class_ids(self.class_ids, len(self.scores))
        for number, scores in enumerate((self.scores, *self.views)):
            check_scores(scores, f"view {number - 1}" if number else "scores")
            if scores.shape != (len(self.class_ids), *self.image.shape[:2]):
                wanted = (len(self.class_ids), *self.image.shape[:2])
                raise DataError(f"views: expected scores of shape {wanted} each, but got {scores.shape}.")

    @cached_property
    def halves(self) -> tuple[Scores, Scores]:
        """Scores of every other view, and of the rest: means over the views, each class divided by its maximum."""
        if len(self.views) < 2:
            raise DataError(f"views: expected maps of at least 2 scales, but got {len(self.views)}.")
        return _join_views(self.views[0::2]), _join_views(self.views[1::2])

    @cached_property
    def unrefined_halves(self) -> tuple[LabelMap, LabelMap]:
        """Both halves cut at the threshold, nothing else."""
        first, second = (label_from_scores(half, self.class_ids, "constant", self.threshold) for half in self.halves)
        return first, second


def _join_views(views: Sequence[Scores]) -> Scores:
    mean = np.mean(views, axis=0, dtype=np.float32)
    highest = mean.max(axis=(1, 2), keepdims=True)
    return np.divide(mean, highest, out=np.zeros_like(mean), where=highest > 0)


class LabelledCase:
    """An image and the label maps that one way makes of it; each is made once, when an objective asks for it."""

    def __init__(self, case: UnlabelledCase, make: MakeLabels) -> None:
        self.case, self._make = case, make

    def _labels(self, scores: Scores) -> LabelMap:
        """255 counts as background, as it does by default in scores with truth."""
        labels = self._make(scores)
        check_label_map(labels)
        check_same_size(labels, self.case.image, "label map", "image")
        return np.where(labels == IGNORE, np.uint8(BACKGROUND), labels)

    @cached_property
    def whole(self) -> LabelMap:
        """From all views together."""
        return self._labels(self.case.scores)

    @cached_property
    def halves(self) -> tuple[LabelMap, LabelMap]:
        """From each half of the views."""
        first, second = self.case.halves
        return self._labels(first), self._labels(second)

    @cached_property
    def single(self) -> tuple[LabelMap, ...]:
        """From each view alone."""
        if len(self.case.views) < 2:
            raise DataError(f"views: expected maps of at least 2 scales, but got {len(self.case.views)}.")
        return tuple(self._labels(view) for view in self.case.views)


@dataclass(frozen=True)
class LabelFreeObjective:
    """`rate` gives one number per image, larger = better. `needs_views`: the maps must be of two scales or more."""

    rate: Callable[[LabelledCase], float]
    needs_views: bool = False

    @property
    def about(self) -> str:
        """What it is, in one line."""
        return (self.rate.__doc__ or "").strip().splitlines()[0]


DEFAULT_OBJECTIVE = "consensus"  # the only one that is not against the truth on any data of study_objectives.py
LABEL_FREE_OBJECTIVES: Registry[LabelFreeObjective] = Registry("label-free objective")


def _register(name: str, *, needs_views: bool = False) -> Callable[..., Callable[[LabelledCase], float]]:
    def file_it(rate: Callable[[LabelledCase], float]) -> Callable[[LabelledCase], float]:
        LABEL_FREE_OBJECTIVES.register(name)(LabelFreeObjective(rate, needs_views))
        return rate

    return file_it


def rate_labels(names: Sequence[str], case: UnlabelledCase, make: MakeLabels) -> dict[str, float]:
    """Each named objective of the label maps that `make` gives for `case`; {} for an image without classes.

    ConfigError for an unknown name, DataError where the objective needs views and there are none.
    """
    objectives = {name: LABEL_FREE_OBJECTIVES.get(name) for name in names}
    if not case.class_ids:
        return {}
    labelled = LabelledCase(case, make)
    return {name: float(objective.rate(labelled)) for name, objective in objectives.items()}


@_register("view_agreement", needs_views=True)
def rate_view_agreement(labelled: LabelledCase) -> float:
    """Mean IoU of the labels made from half of the views with the other half cut at the threshold, both ways round.

    In [0, 1]. What a refiner invents or smooths away is not in the other half, so it costs; what it removes as noise
    of one half gains.
    """
    held_out = labelled.case.unrefined_halves[::-1]
    pairs = zip(labelled.halves, held_out, strict=True)
    return float(np.mean([compute_label_iou(*pair, labelled.case.class_ids) for pair in pairs]))


@_register("agreement_and_edges", needs_views=True)
def rate_agreement_and_edges(labelled: LabelledCase) -> float:
    """View agreement times c / (1 + c), c the mean colour difference across borders over that of all neighbours.

    In [0, 1]. Agreement alone likes smooth blobs, edges alone like borders of anything; what misleads one does not
    mislead the other, so the product orders ways where one of them fails; not where both do (tiny defects, measured).
    """
    contrast = 1 + rate_edge_alignment(labelled)
    return rate_view_agreement(labelled) * contrast / (1 + contrast)


@_register("view_ranking", needs_views=True)
def rate_view_ranking(labelled: LabelledCase) -> float:
    """Chance that a pixel of a class has a higher score in the other half of the views than a pixel outside it.

    In [0, 1], mean over classes and both ways round; 0.5 for labels that have nothing to do with the maps, and for a
    class without pixels or with all. No threshold is applied to the other half, so labels of any size can be right.
    """
    pairs = list(zip(labelled.halves, labelled.case.halves[::-1], strict=True))
    classes = list(enumerate(labelled.case.class_ids))
    return float(np.mean([compute_ranking(labels == one, scores[k]) for labels, scores in pairs for k, one in classes]))


@_register("ranking_and_edges", needs_views=True)
def rate_ranking_and_edges(labelled: LabelledCase) -> float:
    """View ranking above chance, times c / (1 + c), c as in agreement_and_edges. In [-0.5, 0.5]."""
    contrast = max(1 + rate_edge_alignment(labelled), 0.0)
    return (rate_view_ranking(labelled) - 0.5) * contrast / (1 + contrast)


@_register("consensus", needs_views=True)
def rate_consensus(labelled: LabelledCase) -> float:
    """ranking_and_edges times agreement_and_edges: ranking alone likes labels that are too small, agreement those of
    the label-free threshold. In [-0.5, 0.5].
    """
    return rate_ranking_and_edges(labelled) * rate_agreement_and_edges(labelled)


@_register("view_correlation", needs_views=True)
def rate_view_correlation(labelled: LabelledCase) -> float:
    """As view_agreement, with the correlation of each class's masks in place of IoU.

    In [-1, 1]; what two unrelated masks of the same sizes share by chance counts for nothing.
    """
    held_out = labelled.case.unrefined_halves[::-1]
    pairs = zip(labelled.halves, held_out, strict=True)
    return float(np.mean([compute_label_correlation(*pair, labelled.case.class_ids) for pair in pairs]))


@_register("scale_agreement", needs_views=True)
def rate_scale_agreement(labelled: LabelledCase) -> float:
    """Correlation of the labels made from each view alone, mean over pairs of views and classes, in [-1, 1]."""
    ids = labelled.case.class_ids
    return float(np.mean([compute_label_correlation(*pair, ids) for pair in combinations(labelled.single, 2)]))


@_register("colour_contrast")
def rate_colour_contrast(labelled: LabelledCase) -> float:
    """Share of the CIE Lab variance that the regions of the labels explain, in [0, 1]; 0 for a single region."""
    lab = to_lab(labelled.case.image).reshape(-1, 3).astype(np.float64)
    variance = lab.var(axis=0).sum()
    index = labelled.whole.ravel()
    pixels = np.bincount(index, minlength=256)
    sums = np.stack([np.bincount(index, lab[:, channel], 256) for channel in range(3)], axis=1)
    present = pixels > 0
    means = sums[present] / pixels[present, None]
    between = (pixels[present, None] * (means - lab.mean(axis=0)) ** 2).sum() / len(lab)
    return float(between / variance) if variance > 0 else 0.0


@_register("edge_alignment")
def rate_edge_alignment(labelled: LabelledCase) -> float:
    """Mean colour difference across the labels' borders over that of all neighbours, minus 1; 0 without borders.

    Colours in CIE Lab, four neighbours. 0 = borders lie as if by chance, below = in plain regions.
    """
    lab, labels = to_lab(labelled.case.image), labelled.whole
    steps = [np.linalg.norm(np.diff(lab, axis=axis), axis=2).ravel() for axis in (0, 1)]
    cuts = [(np.diff(labels.astype(np.int16), axis=axis) != 0).ravel() for axis in (0, 1)]
    difference, is_border = np.concatenate(steps).astype(np.float64), np.concatenate(cuts)
    mean = difference.mean() if difference.size else 0.0
    return float(difference[is_border].mean() / mean - 1) if is_border.any() and mean > 0 else 0.0


@_register("normalised_cut")
def rate_normalised_cut(labelled: LabelledCase) -> float:
    """Minus the normalised cut of each class's mask, mean over classes, in [-2, 0]; see the rule of that name."""
    vertical, horizontal = affinities(to_lab(labelled.case.image))
    degree = sum_degrees(vertical, horizontal)
    masks = [labelled.whole == class_id for class_id in labelled.case.class_ids]
    return float(np.mean([-_compute_cut(mask, vertical, horizontal, degree) for mask in masks]))


def compute_ranking(mask: NDArray[np.bool_], scores: NDArray[np.float32], bins: int = 1024) -> float:
    """Area under the ROC curve of scores (H, W) in [0, 1] for the pixels of a mask, ties half; 0.5 without two sides.

    Scores are counted in `bins` equal steps.
    """
    steps = np.minimum((scores * bins).astype(np.intp), bins - 1)
    inside = np.bincount(steps[mask], minlength=bins).astype(np.float64)
    outside = np.bincount(steps[~mask], minlength=bins).astype(np.float64)
    pairs = inside.sum() * outside.sum()
    below = np.cumsum(outside) - outside
    return float((inside * (below + outside / 2)).sum() / pairs) if pairs else 0.5


def _compute_cut(
    mask: NDArray[np.bool_], vertical: NDArray[np.float64], horizontal: NDArray[np.float64], degree: NDArray[np.float64]
) -> float:
    inside, total = degree[mask].sum(), degree.sum()
    if inside <= 0 or inside >= total:
        return 2.0  # what the cut of an empty region tends to
    cut = vertical[mask[1:] != mask[:-1]].sum() + horizontal[mask[:, 1:] != mask[:, :-1]].sum()
    return float(cut / inside + cut / (total - inside))


def compute_label_iou(first: LabelMap, second: LabelMap, class_ids: Sequence[int]) -> float:
    """Mean IoU of two label maps (H, W) over background and `class_ids`, those in neither left out; in [0, 1]."""
    values = []
    for class_id in (BACKGROUND, *class_ids):
        one, other = first == class_id, second == class_id
        either = np.count_nonzero(one | other)
        if either:
            values.append(np.count_nonzero(one & other) / either)
    return float(np.mean(values))


def compute_label_correlation(first: LabelMap, second: LabelMap, class_ids: Sequence[int]) -> float:
    """Mean over `class_ids` of the correlation (phi) of the class's masks in two label maps (H, W), in [-1, 1].

    0 where one of the masks is empty or full: it says nothing of the other.
    """
    values = []
    for class_id in class_ids:
        one, other = first == class_id, second == class_id
        p1, p2, both = (np.count_nonzero(mask) / mask.size for mask in (one, other, one & other))
        spread = np.sqrt(p1 * (1 - p1) * p2 * (1 - p2))
        values.append((both - p1 * p2) / spread if spread > 0 else 0.0)
    return float(np.mean(values))
