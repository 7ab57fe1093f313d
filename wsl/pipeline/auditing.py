"""`wsl audit RUN`: what do the classes of a finished run look at, their objects or something beside them?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from wsl.config import Config, load_config
from wsl.data.images import read_image
from wsl.errors import ConfigError, DataError, WslError
from wsl.evaluate.localization.energy import (
    ON_BACKGROUND,
    UNDECIDED,
    EnergyShares,
    compute_energy_shares,
    judge_energy,
    mean_shares,
    split_regions,
)
from wsl.pipeline.audit_objects import PSEUDO_LABELS, ObjectFinder, build_object_finder
from wsl.pipeline.context import Context
from wsl.pipeline.images import failure_of
from wsl.pipeline.montage_testing import Labels, MontageOutcome, MontageTester
from wsl.pipeline.photomontage import MontageScores, mean_scores, relies_on_background
from wsl.pipeline.picturing import spread
from wsl.pipeline.run_folder import DRAWN, DRAWN_MARK, Failure, RunFolder
from wsl.pipeline.work import StageFiles
from wsl.progress import Progress, Silent, track
from wsl.types import Sample

RELIES = "relies on the background"
SEVERITY = (RELIES, ON_BACKGROUND, "mixed", UNDECIDED, "on the object")  # in this order classes are listed
OVERRIDES = ("data.root", "device", "model.checkpoint")  # where things are now; anything else would be another run


@dataclass(frozen=True)
class ImageAudit:
    """One class in one image; `shares` None when its map is empty, `montage` None when it was not made."""

    sample: Sample
    shares: EnergyShares | None
    montage: MontageScores | None


@dataclass(frozen=True)
class ClassAudit:
    """One class over its images. `without_object`: images left out because the ground truth shows no such object."""

    class_id: int
    name: str
    verdict: str
    shares: EnergyShares | None
    montage: MontageScores | None
    images: tuple[ImageAudit, ...]
    without_object: int

    @property
    def relies(self) -> bool | None:
        """The photomontage's verdict, None where there is none."""
        return relies_on_background(self.montage) if self.montage else None

    def worst(self, count: int) -> list[ImageAudit]:
        """The images with a map whose contrast is least."""
        shown = [image for image in self.images if image.shares is not None]
        return sorted(shown, key=lambda image: (_contrast(image.shares), image.sample.image_id))[:count]


@dataclass(frozen=True)
class Audit:
    """All classes with images, the worst first; `objects` says what was taken for the objects."""

    classes: tuple[ClassAudit, ...]
    objects: str
    failures: tuple[Failure, ...]


def open_run(
    path: Path, overrides: Sequence[str] = (), progress: Progress | None = None, verb: str = "audit"
) -> Context:
    """The run in `path` with the settings of its manifest.

    `overrides` tell where data, checkpoint or device are now. ConfigError when the folder is no run, when its maps are
    not made, or for an override that would change results.
    """
    if not (path / "manifest.json").is_file():
        raise ConfigError(f"{path}: expected the folder of a run (made by `wsl run`), but it has no manifest.json.")
    for override in overrides:
        if override.split("=")[0] not in OVERRIDES:
            raise ConfigError(f"{verb} takes the run's own settings and only {', '.join(OVERRIDES)}, not '{override}'.")
    run = RunFolder(path)
    if run.stage("cams").get("state") != "done":
        raise ConfigError(f"{path}: {verb} needs the score maps of this run, but its stage 'cams' is not done: run it.")
    config = _read_config(run, overrides)
    return Context(config, run, progress or Silent())


def _read_config(run: RunFolder, overrides: Sequence[str]) -> Config:
    """The manifest's settings, checked like any other; a demo that was moved has its drawings beside it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{run.path.name}.yaml"
        path.write_text(json.dumps(run.manifest.get("config", {})), "utf8")  # JSON is YAML
        config = load_config(str(path), list(overrides))
    config.output, config.cam.compile = str(run.path), False  # too few images to be worth compiling
    root, drawn = Path(config.data.root or ""), run.path / DRAWN
    if not root.exists() and (drawn / DRAWN_MARK).exists():
        config.data.root = str(drawn)
    return config


class Auditor:
    """Audits class by class; `tester` is None when no photomontages are made. failures: images without known labels."""

    def __init__(self, context: Context, montage: bool) -> None:
        self.context, self.files = context, StageFiles(context.run.path)
        if montage and context.config.cam.source is not None:
            raise ConfigError(
                f"{context.run.path}: its maps come from cam.source, so there is no classifier for the photomontages: "
                "add --no-montage."
            )
        self.finder: ObjectFinder = build_object_finder(context, self.files)
        self.failures: list[Failure] = []
        self.labels: Labels = {sample.image_id: self._read_labels(sample) for sample in context.samples}
        self.tester = MontageTester(context, self.finder, self.labels) if montage else None

    def audit(self, images: int) -> Audit:
        """Every class on at most `images` of its images, spread over the data set.

        An image that fails is recorded and the others go on; errors of the whole run (settings, classifier) are raised.
        """
        chosen = {class_id: spread(self._samples_of(class_id), images) for class_id in self.context.classes.ids}
        pairs = [(class_id, sample) for class_id, samples in chosen.items() for sample in samples]
        found: dict[int, list[ImageAudit | None]] = {}
        failures = list(self.failures)
        for class_id, sample in track(pairs, self.context.progress, "audit", len(pairs)):
            try:
                found.setdefault(class_id, []).append(self._look(sample, class_id))
            except Exception as error:
                if isinstance(error, WslError) and not isinstance(error, DataError):
                    raise  # the same for every image
                failures.append(failure_of(sample, error))
        classes = [self._sum_up(class_id, looked) for class_id, looked in found.items()]
        ranked = sorted(classes, key=lambda each: (SEVERITY.index(each.verdict), _contrast(each.shares), each.class_id))
        return Audit(tuple(ranked), self.finder.kind, tuple(failures))

    def _read_labels(self, sample: Sample) -> tuple[int, ...] | None:
        """None where they cannot be read, which is a failure of this image alone."""
        try:
            return self.finder.labels(sample)
        except DataError as error:
            self.failures.append(failure_of(sample, error))
            return None

    def _samples_of(self, class_id: int) -> list[Sample]:
        """Images of the class that have a map file."""
        labelled = [each for each in self.context.samples if class_id in (self.labels[each.image_id] or ())]
        return [each for each in labelled if self.files.maps(each.image_id).exists()]

    def _look(self, sample: Sample, class_id: int) -> ImageAudit | None:
        """None when the image shows no object of the class, or has no map of it."""
        maps = self.files.read_maps(sample.image_id)
        objects = self.finder.find(sample, maps.size, class_id)
        if objects is None or not objects.target.any() or class_id not in maps.class_ids:
            return None
        regions = split_regions(objects.target, objects.others, objects.ignore)
        shares = compute_energy_shares(maps.scores[maps.class_ids.index(class_id)], regions)
        outcome = self.test(sample, class_id)
        return ImageAudit(sample, shares, outcome.scores if outcome else None)

    def test(self, sample: Sample, class_id: int) -> MontageOutcome | None:
        """The photomontages of one image, None where none can be made."""
        if self.tester is None:
            return None
        image = read_image(sample.image_path)
        objects = self.finder.find(sample, (image.shape[0], image.shape[1]), class_id)
        return self.tester.test(sample, image, objects, class_id) if objects else None

    def _sum_up(self, class_id: int, looked: Sequence[ImageAudit | None]) -> ClassAudit:
        images = tuple(each for each in looked if each is not None)
        shares = mean_shares([each.shares for each in images if each.shares is not None])
        montage = mean_scores([each.montage for each in images if each.montage is not None])
        relies = relies_on_background(montage) if montage else None
        energy = judge_energy(shares) if shares else UNDECIDED
        verdict = combine_verdicts(energy, relies, self.finder.kind)
        name = self.context.classes.name_of(class_id)
        return ClassAudit(class_id, name, verdict, shares, montage, images, len(looked) - len(images))


def combine_verdicts(energy: str, relies: bool | None, objects: str) -> str:
    """The verdict on a class: the photomontage's when it found a reliance, else that of the energy.

    With pseudo-labels as objects the energy proves nothing, so it is "not decided" unless the photomontage found
    something.
    """
    if relies:
        return RELIES
    return UNDECIDED if objects == PSEUDO_LABELS else energy


def _contrast(shares: EnergyShares | None) -> float:
    """For sorting: undefined contrasts last."""
    contrast = shares.contrast if shares else None
    return float("inf") if contrast is None else contrast
