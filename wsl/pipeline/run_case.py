"""One image of a run with all that its stages made of it, as the scorers see it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from wsl.cam.pyramid import MapPyramid
from wsl.data.ground_truth import read_ground_truth
from wsl.data.images import read_image, read_image_size
from wsl.data.label_maps import read_label_map
from wsl.errors import DataError
from wsl.evaluate.metrics import MetricSettings
from wsl.evaluate.metrics.case import ScoreMapCase, list_objects
from wsl.evaluate.thresholds import find_needs
from wsl.pipeline.map_files import rank_classes
from wsl.pipeline.work import StageFiles, read_boxes
from wsl.types import Box, Image, LabelMap, Sample, ScoreMaps, Scores


@dataclass(frozen=True)
class RunCase:
    """One image of a run: its maps in memory, the other results on disk. `views` are the maps of single scales."""

    sample: Sample
    maps: ScoreMaps
    pyramid: MapPyramid | None
    views: tuple[Scores, ...]
    files: StageFiles
    num_classes: int

    @cached_property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image itself; DataError when the maps are for another size.

        Polygons could be drawn at any size, so truth at the maps' own would fit them whatever became of the image.
        """
        size = read_image_size(self.sample.image_path)
        if self.maps.size != size:
            maps, own = (f"{height}x{width}" for height, width in (self.maps.size, size))
            raise DataError(
                f"{self.sample.image_id}: the maps are for an image of {maps}, but {self.sample.image_path} is {own} "
                "(height x width): make the maps again."
            )
        return size

    @cached_property
    def truth(self) -> LabelMap | None:
        """The true label map, None where there is none."""
        return read_ground_truth(self.sample, self.size, self.num_classes)

    @cached_property
    def image(self) -> Image:
        """uint8 (H, W, 3)."""
        return read_image(self.sample.image_path)

    @cached_property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes of the run."""
        return tuple(read_boxes(self.files.boxes(self.sample.image_id)))

    @cached_property
    def seeds(self) -> LabelMap:
        """The seed label map."""
        return read_label_map(self.files.seeds(self.sample.image_id))

    @cached_property
    def refined(self) -> LabelMap:
        """The refined label map."""
        return read_label_map(self.files.refined(self.sample.image_id))

    def load(self) -> RunCase:
        """Reads everything now, so that a broken file is told before anything is counted."""
        _ = self.size, self.truth, self.seeds, self.refined, self.boxes
        return self


def to_map_case(case: RunCase, settings: MetricSettings) -> ScoreMapCase:
    """The image is read only where a label-free rule looks at it."""
    instances = case.sample.instances
    return ScoreMapCase(
        image_id=case.sample.image_id,
        scores=case.maps.scores,
        class_ids=case.maps.class_ids,
        size=case.maps.size,
        truth=case.truth,
        boxes=None if instances is None else list_objects(instances),
        ranking=rank_classes(case.pyramid),
        image=case.image if "image" in find_needs(settings.requests) else None,
        views=case.views,
    )
