"""Scores of a folder of score maps: every threshold from one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from wsl.data.images import read_image
from wsl.data.reader import Dataset
from wsl.errors import ConfigError, DataError
from wsl.evaluate.accumulate import accumulate
from wsl.evaluate.certainty.run_files import list_scored_images
from wsl.evaluate.files.found_classes import find_classes
from wsl.evaluate.files.map_png import read_maps
from wsl.evaluate.files.metric_sums import MetricSums, count_values, refuse_binary
from wsl.evaluate.files.options import EvaluateOptions, Evaluation, describe_classes
from wsl.evaluate.files.paired_maps import Prediction, pair_maps
from wsl.evaluate.files.score_map_files import MapFile, ReadMap, read_map_file
from wsl.evaluate.files.sources import TruthSet, open_truth, read_size, read_truth
from wsl.evaluate.metrics import MetricSettings, choose_metrics
from wsl.evaluate.metrics.case import ScoreMapCase, list_objects
from wsl.evaluate.result import Score
from wsl.evaluate.thresholds import (
    CHOICES,
    SETTINGS,
    GivenThreshold,
    ThresholdRequest,
    find_needs,
    give_fixed,
    give_from_folder,
    parse_requests,
    refuse_overlap,
)
from wsl.progress import Progress, Silent
from wsl.seeds.background import check_background
from wsl.seeds.label_free import LABEL_FREE_RULES
from wsl.types import Sample

FEW = 12  # images per process: a map takes some tenths of a second
CHOOSING = {"miou_sweep": "miou", "max_box_acc": "max_box_acc", "pixel_ap": "pixel_ap"}  # metric -> its threshold


@dataclass(frozen=True)
class _Work:
    """How an image is read: what is the same for all of them."""

    settings: MetricSettings
    read_map: ReadMap
    needs: frozenset[str]  # of the label-free rules: "image", "views"


@dataclass(frozen=True)
class _Item:
    image_id: str
    truth: Path | Sample
    prediction: Prediction

    def read(self, work: _Work) -> ScoreMapCase:
        """The case in memory; without a prediction there is no map at all."""
        size = read_size(self.truth)
        maps = self._read_maps(work, size)
        sample = self.truth if isinstance(self.truth, Sample) else None
        return ScoreMapCase(
            image_id=self.image_id,
            scores=maps.scores,
            class_ids=maps.class_ids,
            size=size,
            truth=read_truth(self.truth, len(work.settings.classes)) if work.settings.has_masks else None,
            boxes=None if sample is None or sample.instances is None else list_objects(sample.instances),
            ranking=maps.ranking,
            image=read_image(sample.image_path) if sample is not None and "image" in work.needs else None,
            views=maps.views,
        )

    def _read_maps(self, work: _Work, size: tuple[int, int]) -> MapFile:
        if self.prediction is None:
            return MapFile(np.zeros((0, *size), np.float32), ())
        if isinstance(self.prediction, Path):
            found = work.read_map(self.prediction, "views" in work.needs)
        else:
            found = MapFile(*read_maps(self.prediction))
        largest, count = max(found.class_ids, default=0), len(work.settings.classes)
        if largest > count:
            raise DataError(
                f"{self.image_id}: the maps have class {largest}, but there are classes 1..{count} only; where the "
                "ground truth is a folder of label maps, name them all with --classes FILE."
            )
        return found


@dataclass(frozen=True)
class MapSource:
    """Where score maps and other parts of the truth come from.

    `folder` holds `<image_id>.npz` or `.npy`, or grey PNGs as in `map_png`; `read` reads one file and must be
    picklable; `open_split` opens another split of the ground truth, None where it has none.
    """

    folder: Path
    read: ReadMap = read_map_file
    open_split: Callable[[str], Dataset] | None = None


def evaluate_score_maps(
    source: MapSource,
    ground_truth: Path | Dataset,
    options: EvaluateOptions = EvaluateOptions(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
) -> Evaluation:
    """Scores of a folder of score maps against masks, boxes or both.

    The scores are at the best threshold of these images (oracle) unless `options.thresholds` asks for others; the
    thresholds that were best are in `about`, for use on other images.
    """
    requests, shown = parse_requests(options.thresholds), progress or Silent()
    truth = open_truth(ground_truth, options.classes)
    classes = truth.classes or find_classes(truth, options.workers, shown)
    pairs, counts = pair_maps(source.folder, truth.image_ids, classes, options.missing)
    settings = options.settings(classes, requests, has_masks=truth.has_masks, has_boxes=truth.has_boxes)
    names = choose_metrics("score_maps", options.metrics, settings)
    given = _give(requests, names, source, options, [image_id for image_id, _ in pairs], shown)
    work = _Work(replace(settings, given=tuple(given)), source.read, _find_needs(requests, truth))
    sums = accumulate(
        [_Item(image_id, truth.sources[image_id], path) for image_id, path in pairs],
        partial(MetricSums, names, work.settings),
        partial(_update, work),
        workers=options.workers,
        progress=shown,
        title="score maps",
        few=FEW,
    )
    refuse_binary(sums.true_values, f"{truth.name}: the ground truth")
    scores = sums.metrics.scores()
    _check_label_free(requests, scores, source.folder)
    about = describe_classes(classes) | {CHOICES: sums.metrics.choices()} | _threshold_settings(options)
    return Evaluation(scores, sums.metrics.tables(), about).with_counts(counts)


def _check_label_free(requests: Sequence[ThresholdRequest], scores: Sequence[Score], folder: Path) -> None:
    """Raises DataError when a rule that was asked for chose nothing, for want of maps of several scales."""
    found = {(score.threshold or {}).get("label-free rule") for score in scores}
    lost = [each.what for each in requests if each.way == "label_free" and each.what not in found]
    if lost and "views" in LABEL_FREE_RULES.get(lost[0]).needs:
        raise DataError(
            f"{folder}: the label-free rule '{lost[0]}' needs maps of several scales, which only map files of wsl made "
            "with several cam.scales hold; take label_free:otsu_per_image for other maps."
        )


def _update(work: _Work, sums: MetricSums, item: _Item) -> None:
    case = item.read(work)
    sums.metrics.update(case)
    if case.truth is not None:
        sums.true_values += count_values(case.truth)


def _find_needs(requests: Sequence[ThresholdRequest], truth: TruthSet) -> frozenset[str]:
    """What the label-free rules need beyond the maps; ConfigError when it is the images and there are none."""
    needs, rules = find_needs(requests), [each.what for each in requests if each.way == "label_free"]
    if "image" in needs and any(isinstance(source, Path) for source in truth.sources.values()):
        raise ConfigError(
            f"{truth.name}: the label-free rule '{rules[0]}' looks at the images, but this is a folder of label maps: "
            "give the data set as ground truth, or take label_free:otsu."
        )
    return needs


def _give(
    requests: Sequence[ThresholdRequest],
    names: Sequence[str],
    source: MapSource,
    options: EvaluateOptions,
    scored: Sequence[str],
    progress: Progress,
) -> list[GivenThreshold]:
    """The thresholds that are known before these images are scored: fixed, and chosen on other images."""
    choosing = {name: CHOOSING[name] for name in names if name in CHOOSING}
    _check_requests(requests, names, options)
    given = _give_fixed(requests, list(choosing.values()), options.rule)
    for request in requests:
        if request.way == "from":
            folder = Path(request.what)
            given += give_from_folder(folder, list(choosing.values()), _threshold_settings(options))
            refuse_overlap(f"from:{folder}", list_scored_images(folder), scored)
        elif request.way == "val":
            other = _open_other(source, request.what)
            refuse_overlap(f"val:{request.what}", [sample.image_id for sample in other.samples], scored)
            chosen = replace(options, thresholds=(), metrics=tuple(choosing))
            found = evaluate_score_maps(source, other, chosen, progress)
            how = {"chosen on": f"split {request.what}, {len(other)} images"}
            given += [GivenThreshold(each, value, "val", how) for each, value in found.about[CHOICES].items()]
    return given


def _check_requests(requests: Sequence[ThresholdRequest], names: Sequence[str], options: EvaluateOptions) -> None:
    """Raises ConfigError for thresholds and values that none of the metrics would use."""
    for request in requests:
        users = [name for name in CHOOSING if request.way != "label_free" or name != "pixel_ap"]
        if options.rule == "power" and request.way == "fixed":
            users = ["miou_sweep"]
        if request.way != "oracle" and not set(users) & set(names):
            raise ConfigError(
                f"threshold {request.way}: it is for the metrics {', '.join(users)}, but only {', '.join(names)} "
                "is computed: leave it out, or name one of these metrics."
            )
    if (options.rule != "constant" or options.values) and not {"miou_sweep", "seed_surface"} & set(names):
        raise ConfigError(
            f"rule, values: they are for miou_sweep and seed_surface, but only {', '.join(names)} is computed."
        )


def _give_fixed(requests: Sequence[ThresholdRequest], metrics: Sequence[str], rule: str) -> list[GivenThreshold]:
    """Fixed thresholds; an exponent of the power rule is for mIoU alone. Told before any pixel is read."""
    given = give_fixed(requests, [each for each in metrics if each == "miou" or rule == "constant"])
    for each in given:
        check_background(rule, each.value)
        if each.metric != "miou" and not 0 <= each.value < 1:
            raise ConfigError(f"threshold {each.value:g}: expected a score in [0, 1).")
    return given


def _threshold_settings(options: EvaluateOptions) -> dict[str, str]:
    return dict(zip(SETTINGS, (options.rule, options.protocol or "original"), strict=True))


def _open_other(source: MapSource, split: str) -> Dataset:
    if source.open_split is None:
        raise ConfigError(f"threshold val:{split}: needs a data set with splits as ground truth.")
    return source.open_split(split)
