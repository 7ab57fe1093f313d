"""How much each image and region of a run is to be trusted: computed from its files, never from ground truth."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from wsl.cam.pyramid import MapPyramid
from wsl.cam.store import read_everything
from wsl.data.label_maps import read_label_map
from wsl.files import read_json, write_bytes
from wsl.pipeline.work import StageFiles
from wsl.quality.confidence import ImageJudgement, Judgement, judge_image
from wsl.quality.regions import count_least_pixels
from wsl.quality.signals import Evidence, Signals
from wsl.seeds.background import compute_background
from wsl.types import Sample, Scores

DIGITS = 6
FOLDER = Path("export") / "confidence"


@dataclass(frozen=True)
class StoredConfidence:
    """What is kept of an `ImageJudgement`; regions: (class_id, area in pixels, confidence) of those that are large
    enough, in the order of export."""

    image_id: str
    confidence: float
    classes: tuple[Judgement, ...]
    regions: tuple[tuple[int, int, float], ...]


@dataclass(frozen=True)
class ConfidenceWork:
    """Score maps and label map of one image -> export/confidence/<image id>.json.

    background_rule, background: those that the label map was made with. min_area: of the regions that are judged one by
    one, pixels if 1 or more, else a fraction of the image.
    """

    files: StageFiles
    background_rule: str
    background: float
    min_area: float = 0.0

    def __call__(self, sample: Sample) -> None:
        evidence = self.read_evidence(sample)
        least = count_least_pixels(self.min_area, evidence.label_map.shape)
        judgement = judge_image(evidence, sample.class_ids, least)
        record = _to_record(judgement, evidence.label_map.size)
        text = json.dumps(record, sort_keys=True, allow_nan=False)
        write_bytes(confidence_path(self.files, sample.image_id), f"{text}\n".encode())

    def read_evidence(self, sample: Sample) -> Evidence:
        """All that the run knows of an image."""
        path, image_id = self.files.maps(sample.image_id), sample.image_id
        maps, pyramid, _ = read_everything(path, image_id)
        label_map = read_label_map(self.files.refined(image_id))
        background = compute_background(maps.scores, self.background_rule, self.background)
        known = Evidence(image_id, maps.scores, maps.class_ids, background, label_map, (), maps.class_scores)
        if pyramid is None:  # maps from elsewhere: no single scales, no mirror image
            return known
        return replace(known, levels=_layers_of(pyramid), flip_agreement=pyramid.class_agreement)


def _layers_of(pyramid: MapPyramid) -> tuple[tuple[Scores, ...], ...]:
    """Per layer the maps of its single scales."""
    per_layer = len(pyramid.levels) // pyramid.num_layers
    return tuple(pyramid.levels[first : first + per_layer] for first in range(0, len(pyramid.levels), per_layer))


def confidence_path(files: StageFiles, image_id: str) -> Path:
    """Where the confidence of an image is kept."""
    return files.run / FOLDER / f"{image_id}.json"


def read_confidence(files: StageFiles, image_id: str) -> StoredConfidence:
    """The stored confidence of an image; DataError when it is missing or broken."""
    record = read_json(confidence_path(files, image_id))
    classes = tuple(_from_record(row) for row in record["classes"])
    regions = tuple((int(class_id), int(area), float(value)) for class_id, area, value in record["regions"])
    return StoredConfidence(record["image_id"], record["confidence"], classes, regions)


def _to_record(judgement: ImageJudgement, pixels: int) -> dict[str, Any]:
    return {
        "image_id": judgement.image_id,
        "confidence": round(judgement.confidence, DIGITS),
        "classes": [
            {"class_id": each.class_id, "confidence": round(each.confidence, DIGITS), "signals": _known(each.signals)}
            for each in judgement.classes
        ],
        "regions": [
            [each.class_id, round(each.signals.area * pixels), round(each.confidence, DIGITS)]
            for each in judgement.regions
        ],
    }


def _known(signals: Signals) -> dict[str, float]:
    """NaN, which JSON cannot hold, is left out."""
    return {name: round(value, DIGITS) for name, value in asdict(signals).items() if not math.isnan(value)}


def _from_record(row: Mapping[str, Any]) -> Judgement:
    return Judgement(row["class_id"], row["confidence"], Signals(**row["signals"]))


def mean_signals(classes: Sequence[Judgement]) -> Signals:
    """Mean of each signal over the classes that know it."""
    rows = [asdict(each.signals) for each in classes]
    known = {name: [row[name] for row in rows if not math.isnan(row[name])] for name in asdict(Signals())}
    return Signals(**{name: math.fsum(values) / len(values) for name, values in known.items() if values})
