"""The photomontage test on the images of a run, with the run's own classifier."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsl.cam.engine import compute_pyramids
from wsl.cam.pyramid import MapPyramid, fuse
from wsl.data.images import read_image
from wsl.evaluate.localization.energy import OBJECT, compute_energy_shares, split_regions
from wsl.pipeline.audit_objects import ObjectFinder, Objects
from wsl.pipeline.classifiers import load_ready_classifier
from wsl.pipeline.context import Context
from wsl.pipeline.device import select_device
from wsl.pipeline.making_maps import MapMaker
from wsl.pipeline.photomontage import MontageScores, can_be_tested, fit_ground, paste_objects, remove_objects
from wsl.pipeline.stages import BEST
from wsl.types import Image, Sample, Scores

Labels = dict[str, tuple[int, ...] | None]  # image id -> classes, None = not known


@dataclass(frozen=True)
class Montages:
    """The pictures made of one image, uint8 (H, W, 3), as in `MontageScores`, and the ids of the grounds' images."""

    foreign: Image
    control: Image | None
    removed: Image
    empty: Image
    foreign_id: str
    control_id: str | None


@dataclass(frozen=True)
class MontageOutcome:
    """Scores of the montages of one image, and the map of the class on foreign ground, float32 (1, H, W)."""

    montages: Montages
    scores: MontageScores
    foreign_map: Scores


class MontageTester:
    """Makes montages and asks the classifier about them. The choice of grounds depends on (seed, class, image)."""

    def __init__(self, context: Context, finder: ObjectFinder, labels: Labels) -> None:
        self.context, self.finder, self.labels = context, finder, labels
        ready = load_ready_classifier(context.config.model, context.classes, context.run.path / BEST)
        self.maker = MapMaker(context, ready, select_device(context.config.device))
        self.grounds: dict[int, tuple[list[Sample], list[Sample]]] = {}

    def test(self, sample: Sample, image: Image, objects: Objects, class_id: int) -> MontageOutcome | None:
        """None where it cannot be done: no object, hardly any ground, no image without the class, class unknown."""
        if not can_be_tested(objects.target) or class_id not in self.maker.ready.groups:
            return None
        montages = self.make(sample, image, objects, class_id)
        return None if montages is None else self._score(sample, image, montages, objects, class_id)

    def make(self, sample: Sample, image: Image, objects: Objects, class_id: int) -> Montages | None:
        """The montages of one image; None when no image is without the class."""
        foreign, own = self._grounds(class_id)
        own = [each for each in own if each.image_id != sample.image_id]
        rng = np.random.default_rng([self.context.config.seed, class_id, zlib.crc32(sample.image_id.encode())])
        away = _pick(foreign, rng)
        if away is None:
            return None
        home = _pick(own, rng)
        mask = objects.target
        empty = self._empty_ground(away, class_id, mask.shape)
        return Montages(
            foreign=paste_objects(image, mask, empty),
            control=paste_objects(image, mask, self._empty_ground(home, class_id, mask.shape)) if home else None,
            removed=remove_objects(image, mask),
            empty=empty,
            foreign_id=away.image_id,
            control_id=home.image_id if home else None,
        )

    def _grounds(self, class_id: int) -> tuple[list[Sample], list[Sample]]:
        """Images without and with the class."""
        if class_id not in self.grounds:
            known = [(each, self.labels[each.image_id]) for each in self.context.samples]
            without = [each for each, labels in known if labels is not None and class_id not in labels]
            self.grounds[class_id] = without, [each for each, labels in known if labels and class_id in labels]
        return self.grounds[class_id]

    def _empty_ground(self, sample: Sample, class_id: int, size: tuple[int, ...]) -> Image:
        """The image without any of its objects, brought to `size`."""
        image = read_image(sample.image_path)
        objects = self.finder.find(sample, (image.shape[0], image.shape[1]), class_id)
        return fit_ground(remove_objects(image, objects.all) if objects else image, (size[0], size[1]))

    def _score(
        self, sample: Sample, image: Image, montages: Montages, objects: Objects, class_id: int
    ) -> MontageOutcome:
        pictures = [montages.foreign, image, montages.removed, montages.empty]
        pictures += [] if montages.control is None else [montages.control]
        pyramids = self._pyramids(sample, pictures, class_id)
        foreign, own, removed, empty, *control = [_probability(pyramid, class_id) for pyramid in pyramids]
        maps = fuse(pyramids[0], self.maker.preset).scores
        shares = compute_energy_shares(maps[0], split_regions(objects.target))
        scores = MontageScores(
            score=own,
            foreign=foreign,
            control=control[0] if control else None,
            removed=removed,
            empty=empty,
            energy=shares.energy[OBJECT] if shares else None,
            area=float(objects.target.mean()),
        )
        return MontageOutcome(montages, scores, maps)

    def _pyramids(self, sample: Sample, pictures: Sequence[Image], class_id: int) -> list[MapPyramid]:
        """Maps are needed of the first picture only; of the others the probabilities."""
        wanted: list[tuple[int, ...] | None] = [(class_id,), *[() for _ in pictures[1:]]]
        ids = [sample.image_id] * len(pictures)
        maker = self.maker
        return compute_pyramids(maker.model, pictures, ids, wanted, maker.ready.groups, maker.options, maker.device)


def _pick(samples: Sequence[Sample], rng: np.random.Generator) -> Sample | None:
    return samples[int(rng.integers(len(samples)))] if samples else None


def _probability(pyramid: MapPyramid, class_id: int) -> float:
    return float(pyramid.probabilities[pyramid.known_ids.index(class_id)])
