"""Does the confidence of a pseudo-label predict its true IoU? Measured on finished runs of data sets with ground truth.

The rule of wsl.quality.confidence was chosen by the images of magnetic_tile's train split; other sets only judge it.
Each run needs the stages cams, boxes, seeds and refine.

    python benchmarks/study_confidence.py magnetic_tile:train=DIR magnetic_tile:val=DIR coco_mini:all=DIR --save
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measuring import describe_setting, find_data, save_result
from numpy.typing import NDArray

from wsl.config import Config, load_config
from wsl.data.ground_truth import read_ground_truth
from wsl.data.rle import segmentation_to_mask
from wsl.evaluate.localization.boxes import compute_box_iou, to_array
from wsl.pipeline.confidence import ConfidenceWork
from wsl.pipeline.context import open_split
from wsl.pipeline.work import StageFiles, read_boxes
from wsl.quality.calibration import fit_calibration
from wsl.quality.confidence import Judgement, judge_image
from wsl.quality.regions import Regions, find_regions
from wsl.quality.risk_coverage import compute_kendall, compute_risk_coverage, compute_spearman
from wsl.quality.signals import NAMES
from wsl.types import IGNORE, Box, ClassSet, LabelMap, Mask, Sample

LEAST_PIXELS = 100  # smaller regions are specks: their IoU is all but 0, so they make any order look good
SHARES = tuple(round(0.1 * tenth, 1) for tenth in range(1, 11))
RESAMPLES = 1000
Measure = Callable[[Judgement], float]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """One class of an image, or one region: how it was judged, and its true IoU."""

    image_id: str
    judgement: Judgement
    iou: float
    pixels: int


@dataclass(frozen=True)
class Truth:
    """Ground truth of an image; `label_map` None where there are boxes only."""

    sample: Sample
    label_map: LabelMap | None

    def class_iou(self, mask: Mask, class_id: int, found: Sequence[Box]) -> float | None:
        """Mask IoU of the class, or the IoU of its box of highest score with the best true one; None if not known."""
        if self.label_map is not None:
            scored, true = self.label_map != IGNORE, self.label_map == class_id
            union = int(((mask | true) & scored).sum())
            return int((mask & true & scored).sum()) / union if union else None
        true_boxes = self._boxes(class_id)
        if not true_boxes:
            return None
        mine = [box for box in found if box.class_id == class_id][:1]
        return float(compute_box_iou(to_array(mine), to_array(true_boxes)).max()) if mine else 0.0

    def region_ious(self, regions: Regions, class_id: int) -> Values | None:
        """Best IoU of each region with a true instance, or a true region, or of its box with a true box."""
        if self.label_map is None:
            true_boxes = self._boxes(class_id)
            boxes = np.array([_extent(regions.labels == number) for number in range(1, regions.count + 1)])
            return compute_box_iou(boxes, to_array(true_boxes)).max(1) if true_boxes and regions.count else None
        best = np.zeros(regions.count)
        for mask in self._masks(class_id, self.label_map):
            shared = regions.sum(mask.astype(np.float32))
            best = np.maximum(best, shared / (regions.areas + mask.sum() - shared))
        return best

    def _boxes(self, class_id: int) -> list[Box]:
        return [box for box in self.sample.boxes or () if box.class_id == class_id]

    def _masks(self, class_id: int, label_map: LabelMap) -> list[Mask]:
        if self.sample.instances is None:
            parts = find_regions(label_map == class_id)
            return [parts.labels == number for number in range(1, parts.count + 1)]
        mine = [each for each in self.sample.instances if each.class_id == class_id and not each.crowd]
        size = (label_map.shape[0], label_map.shape[1])
        return [segmentation_to_mask(each.segmentation, size) for each in mine]


def _extent(mask: Mask) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def collect(config: Config) -> tuple[list[Result], list[Result]]:
    """(classes, regions) of every image of a run that shows some class and has ground truth."""
    data, files = open_split(config.data, config.data.split), StageFiles(Path(config.output))
    work = ConfidenceWork(files, config.refine.background_rule, config.refine.background)
    classes: list[Result] = []
    regions: list[Result] = []
    for sample in data.samples:
        if sample.class_ids and files.refined(sample.image_id).exists():
            _collect_image(sample, work, data.classes, classes, regions)
    return classes, regions


def _collect_image(
    sample: Sample, work: ConfidenceWork, names: ClassSet, classes: list[Result], regions: list[Result]
) -> None:
    evidence = work.read_evidence(sample)
    size = (evidence.label_map.shape[0], evidence.label_map.shape[1])
    truth = Truth(sample, read_ground_truth(sample, size, len(names)))
    judged = judge_image(evidence, sample.class_ids)
    found = read_boxes(work.files.boxes(sample.image_id))
    for each in judged.classes:
        mask = evidence.label_map == each.class_id
        iou = truth.class_iou(mask, each.class_id, found)
        if iou is not None:
            classes.append(Result(sample.image_id, each, iou, int(mask.sum())))
        parts = find_regions(mask)
        ious = truth.region_ious(parts, each.class_id)
        mine = [region for region in judged.regions if region.class_id == each.class_id]
        if ious is not None:
            rows = zip(mine, ious, parts.areas, strict=True)
            regions += [Result(sample.image_id, one, float(iou), int(area)) for one, iou, area in rows]


def per_image(results: Sequence[Result], measure: Measure) -> tuple[Values, Values]:
    """Means over the classes of each image: (measure, IoU)."""
    ids = sorted({each.image_id for each in results})
    mine: dict[str, list[Result]] = {image_id: [] for image_id in ids}
    for each in results:
        mine[each.image_id].append(each)
    values = [[np.mean([measure(each.judgement) for each in mine[image_id]]) for image_id in ids]]
    return np.array(values[0]), np.array([np.mean([each.iou for each in mine[image_id]]) for image_id in ids])


def measures() -> dict[str, Measure]:
    """The confidence, and each of its signals alone; a missing region and an unknown signal count as 0."""

    def signal(name: str) -> Measure:
        return lambda judged: float(np.nan_to_num(getattr(judged.signals, name)))

    return {"confidence": lambda judged: judged.confidence} | {name: signal(name) for name in NAMES}


def describe(values: Values, ious: Values, groups: Sequence[Any] | None = None) -> dict[str, Any]:
    """Rank correlations with a 95 % interval over images, and the risk-coverage curve."""
    curve = compute_risk_coverage(values, ious)
    found = {"n": len(ious), "mean_iou": ious.mean(), "spearman": compute_spearman(values, ious)}
    found |= {"kendall": compute_kendall(values, ious), "interval": _interval(values, ious, groups)}
    found |= {"aurc": curve.aurc, "aurc_oracle": curve.oracle, "aurc_random": curve.random, "excess": curve.excess}
    found |= {"gain": curve.gain, "mean_iou_of_best": {str(share): curve.at(share) for share in SHARES}}
    return _round(found)


def _interval(values: Values, ious: Values, groups: Sequence[Any] | None) -> list[float]:
    """Percentile bootstrap of Spearman's correlation; images are drawn, with all their regions."""
    owner = np.arange(len(values)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    rows = [np.flatnonzero(owner == number) for number in range(owner.max() + 1)]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        chosen = np.concatenate([rows[number] for number in rng.integers(0, len(rows), len(rows))])
        drawn.append(compute_spearman(values[chosen], ious[chosen]))
    return np.percentile([each for each in drawn if each is not None], [2.5, 97.5]).tolist()


def _round(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _round(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_round(each) for each in value]
    return round(float(value), 4) if isinstance(value, (float, np.floating)) else value


def study(config: Config) -> tuple[dict[str, Any], tuple[Values, Values]]:
    """All numbers of one run, and (confidence, IoU) of its images."""
    classes, regions = collect(config)
    large = [each for each in regions if each.pixels >= LEAST_PIXELS]
    images = {name: describe(*per_image(classes, measure)) for name, measure in measures().items()}
    ious, owners = np.array([each.iou for each in large]), [each.image_id for each in large]
    parts = {
        name: describe(np.array([measure(each.judgement) for each in large]), ious, owners)
        for name, measure in measures().items()
        if name in ("confidence", "area", "score", "flip_agreement", "scale_agreement", "refinement_agreement")
    }
    found = {"images": images, "regions": parts, "regions_below_least_pixels": len(regions) - len(large)}
    return found, per_image(classes, measures()["confidence"])


def calibrate(pairs: dict[str, tuple[Values, Values]]) -> dict[str, Any]:
    """Mean absolute error of the IoU predicted by a curve fitted on the first run, on each of the others."""
    (first, fitted), *others = pairs.items()
    curve, plain = fit_calibration(*fitted), fitted[1].mean()
    rows = {
        name: {"calibrated": abs(curve.predict(x) - y).mean(), "mean_of_first_run": abs(plain - y).mean()}
        for name, (x, y) in others
    }
    return {"fitted_on": first, "mean_absolute_error": _round(rows)}


def read_run(text: str, root: Path) -> tuple[str, Config]:
    """`PRESET[:SPLIT[:DATA]]=DIR`."""
    name, _, folder = text.partition("=")
    preset, _, rest = name.partition(":")
    split, _, data = rest.partition(":")
    overrides = [f"data.root={data or root / 'data' / preset}", f"output={folder}"]
    return f"{preset} {split}".strip(), load_config(preset, overrides + ([f"data.split={split}"] if split else []))


def show(name: str, found: dict[str, Any]) -> None:
    """Prints one run's table."""
    for kind in ("images", "regions"):
        print(f"\n{name}, {kind}: n {found[kind]['confidence']['n']}")
        print("measure                 Spearman (95 %)          Kendall   best 20 %  best 50 %  all     gain")
        for measure, row in found[kind].items():
            if row["spearman"] is None:
                continue
            low, high = row["interval"]
            best = row["mean_iou_of_best"]
            gain = "-" if row["gain"] is None else f"{row['gain']:6.2f}"
            print(
                f"{measure:<22} {row['spearman']:6.3f} ({low:6.3f} to {high:6.3f})  {row['kendall']:6.3f}"
                f"     {best['0.2']:.3f}      {best['0.5']:.3f}    {best['1.0']:.3f}  {gain}"
            )


def main() -> None:
    """Studies the given runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="PRESET[:SPLIT[:DATA]]=DIR")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    root, result, pairs = find_data(), {}, {}
    for text in options.runs:
        name, config = read_run(text, root)
        result[name], pairs[name] = study(config)
        show(name, result[name])
    calibration = calibrate(pairs) if len(pairs) > 1 else {}
    print(f"\ncalibration: {calibration}")
    if options.save:
        path = save_result("study_confidence", describe_setting() | {"runs": result, "calibration": calibration})
        print(f"saved: {path}")


if __name__ == "__main__":
    main()
