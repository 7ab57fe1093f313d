"""What the boxes, seeds and refine stages do to one image: read the files of the stages before, write one file.

Each is a small frozen record, so that it can be sent to another process.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsl.cam.store import SUFFIX as MAPS_SUFFIX
from wsl.cam.store import read_score_maps
from wsl.data.images import read_image
from wsl.data.label_maps import read_label_map, write_label_map
from wsl.files import read_json, write_json
from wsl.localize.boxes import boxes_of
from wsl.pipeline.guide_files import read_guide
from wsl.pipeline.label_maker import LabelMaker
from wsl.seeds.labels import seed_label_map
from wsl.types import Box, ClassSet, Sample, ScoreMaps


@dataclass(frozen=True)
class StageFiles:
    """Where the stages of one run keep the files of an image."""

    run: Path

    def maps(self, image_id: str) -> Path:
        """Score maps of the cams stage."""
        return self.run / "cams" / f"{image_id}{MAPS_SUFFIX}"

    def boxes(self, image_id: str) -> Path:
        """Boxes as JSON."""
        return self.run / "boxes" / f"{image_id}.json"

    def seeds(self, image_id: str) -> Path:
        """Seed label map, 255 = not sure."""
        return self.run / "seeds" / f"{image_id}.png"

    def refined(self, image_id: str) -> Path:
        """Final label map."""
        return self.run / "refined" / f"{image_id}.png"

    def read_maps(self, image_id: str) -> ScoreMaps:
        """Score maps in the image's own pixels."""
        return read_score_maps(self.maps(image_id), image_id)


@dataclass(frozen=True)
class BoxesWork:
    """Score maps -> boxes."""

    files: StageFiles
    classes: ClassSet
    options: dict[str, Any]

    def __call__(self, sample: Sample) -> None:
        maps = self.files.read_maps(sample.image_id)
        boxes = boxes_of(maps, **self.options)
        write_json(self.files.boxes(sample.image_id), boxes_record(maps.image_id, maps.size, boxes, self.classes))


@dataclass(frozen=True)
class SeedsWork:
    """Score maps -> seed label map."""

    files: StageFiles
    options: dict[str, Any]

    def __call__(self, sample: Sample) -> None:
        maps = self.files.read_maps(sample.image_id)
        write_label_map(self.files.seeds(sample.image_id), seed_label_map(maps.scores, maps.class_ids, **self.options))


@dataclass(frozen=True)
class RefineWork:
    """Image, score maps and seeds -> final label map. guides: where they lie, or None."""

    files: StageFiles
    maker: LabelMaker
    guides: Path | None = None

    def __call__(self, sample: Sample) -> None:
        maps = self.files.read_maps(sample.image_id)
        labels = self.maker(
            read_image(sample.image_path),
            maps.scores,
            maps.class_ids,
            seeds=read_label_map(self.files.seeds(sample.image_id)),
            bands=self.maker.read_bands(sample.image_path),
            guide=None if self.guides is None else read_guide(self.guides, sample.image_id, self.maker.refiner.guide),
        )
        write_label_map(self.files.refined(sample.image_id), labels)


def boxes_record(image_id: str, size: tuple[int, int], boxes: list[Box], classes: ClassSet) -> dict[str, Any]:
    """Boxes of one image as they are stored: xyxy in pixels, half-open."""
    rows = [
        {
            "xyxy": [round(float(side), 3) for side in box.xyxy],
            "class_id": box.class_id,
            "class": classes.name_of(box.class_id),
            "score": round(float(box.score), 6),
        }
        for box in boxes
    ]
    return {"image_id": image_id, "size": list(size), "boxes": rows}


def read_boxes(path: Path) -> list[Box]:
    """The boxes of one stored file."""
    return [Box(tuple(row["xyxy"]), row["class_id"], row["score"]) for row in read_json(path)["boxes"]]
