"""`wsl compare`: CAM methods on one classifier and the same images, every measure of every method in one table."""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from wsl.cam.diagnosis import forget_warnings
from wsl.cam.method import build_method, list_methods
from wsl.cam.options import CamOptions
from wsl.config import as_dict
from wsl.errors import ConfigError, DataError, WslError
from wsl.evaluate.faithfulness.measure import FaithfulnessSettings
from wsl.evaluate.faithfulness.pointing import TOLERANCE
from wsl.evaluate.result import Score
from wsl.files import read_json, write_bytes, write_json
from wsl.pipeline.classifiers import ReadyClassifier, identity_of, needs_training
from wsl.pipeline.comparison_cases import Cases, ClassPredictor, choose_samples
from wsl.pipeline.comparison_method import MapMaker, MethodRun
from wsl.pipeline.comparison_table import Row, format_csv, format_markdown, read_row
from wsl.pipeline.context import Context
from wsl.pipeline.device import select_device
from wsl.pipeline.label_maker import check_unguided
from wsl.pipeline.making_maps import cam_options, prepare_model
from wsl.pipeline.randomising import PARTS, randomise
from wsl.pipeline.run import run_one
from wsl.pipeline.run_folder import Failure, hash_inputs, hash_value
from wsl.pipeline.stages import check_classifier
from wsl.version import __version__

log = logging.getLogger("wsl")

FOLDER, SCRATCH = Path("compare"), ".maps"
# Methods that run the whole network once per channel (and sample) do a part of their work unless the user asks for all.
CHEAPER: dict[str, dict[str, Any]] = {
    "score_cam": {"channels": 64},
    "ss_cam": {"channels": 32, "samples": 4},
    "is_cam": {"channels": 32, "samples": 4},
}


@dataclass(frozen=True)
class CompareSettings:
    """What is compared.

    methods: names, () = all. images: how many, spread evenly over the labelled ones. options: by method, on top of
    `CHEAPER`. scales, flip: of all methods; None = one scale without flip. tolerance: of the pointing game, in pixels.
    randomised_images: how many of the images are also mapped with random parameters, which costs two more maps each.
    """

    methods: tuple[str, ...] = ()
    images: int = 40
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    tolerance: float = TOLERANCE
    randomised_images: int = 10
    faithfulness: FaithfulnessSettings = field(default_factory=FaithfulnessSettings)

    def __post_init__(self) -> None:
        if self.images < 1 or self.randomised_images < 1:
            raise ConfigError(
                f"images, randomised_images: expected at least 1, but got {self.images} and {self.randomised_images}."
            )
        if self.tolerance < 0:
            raise ConfigError(f"tolerance: expected pixels, at least 0, but got {self.tolerance}.")
        for name in self.options:
            if name not in self.names:
                raise ConfigError(f"options.{name}: this method is not compared; add it to methods, or leave it out.")
        for name in self.names:
            build_method(name, **self.method_options(name))

    @property
    def names(self) -> tuple[str, ...]:
        """The methods, each once, sorted."""
        return tuple(sorted(set(self.methods))) if self.methods else tuple(list_methods())

    def method_options(self, name: str) -> dict[str, Any]:
        """The options of a method that are not its own defaults."""
        known = {option.name for option in dataclasses.fields(build_method(name))}  # type: ignore[arg-type]
        cheaper = {key: value for key, value in CHEAPER.get(name, {}).items() if key in known}
        return cheaper | dict(self.options.get(name, {}))


@dataclass(frozen=True)
class Comparison:
    """The rows in the order of their names, the lines that say what they are, and what failed: images and methods."""

    rows: tuple[Row, ...]
    caption: tuple[str, ...]
    failures: tuple[Failure, ...]


def compare_methods(context: Context, settings: CompareSettings) -> Comparison:
    """Trains if needed, measures every method that is not measured yet, writes compare.csv and compare.md.

    A method is done when <output>/compare/<method>.json is there with the same settings; one that cannot work on this
    classifier gets a row with the reason. Raises what the train stage raises, and DataError without usable images.
    """
    _check(context)
    run_one(context, "train")
    bench = Bench(context, settings, check_classifier(context), select_device(context.config.device))
    rows = tuple(read_row(bench.measure(name)) for name in settings.names)
    caption = bench.describe()
    write_bytes(context.run.path / FOLDER / "compare.csv", format_csv(rows).encode())
    write_bytes(context.run.path / FOLDER / "compare.md", format_markdown(rows, caption).encode())
    return Comparison(rows, caption, tuple(bench.failures))


def _check(context: Context) -> None:
    if context.config.cam.source is not None:
        raise ConfigError("cam.source: compare makes its own maps with a classifier; leave cam.source at null.")
    check_unguided(context.config, "compare")


class Bench:
    """One classifier and its images, ready for one method after the other."""

    def __init__(
        self, context: Context, settings: CompareSettings, ready: ReadyClassifier, device: torch.device
    ) -> None:
        self.context, self.settings, self.ready, self.device = context, settings, ready, device
        options = self._options("grad_cam", {})
        self.predictor = ClassPredictor(prepare_model(copy.deepcopy(ready.model), options, device), ready, device)
        samples = choose_samples(context.samples, list(ready.groups), settings.images)
        self.cases = Cases(context, self.predictor, samples)
        self.failures = list(self.cases.failures)

    def _options(self, name: str, options: dict[str, Any]) -> CamOptions:
        """The settings of cam, with one scale and no flip unless given; probabilities come with the maps' forward."""
        given = cam_options(self.context.config.cam, self.ready.label_mode)
        changes: dict[str, Any] = {"scales": self.settings.scales, "flip": self.settings.flip}
        return dataclasses.replace(given, method=name, options=options, **changes)

    def _maker(self, options: CamOptions, random_part: str | None = None) -> MapMaker:
        """What makes the maps of a method, of the classifier itself or with a part of its parameters random."""
        model = copy.deepcopy(self.ready.model)
        if random_part is not None:
            randomise(model, random_part, self.context.config.seed)
        return MapMaker(prepare_model(model, options, self.device), self.ready.groups, options, self.device)

    def measure(self, name: str) -> dict[str, Any]:
        """The record of one method: read where it is done, else measured and written."""
        path = self.context.run.path / FOLDER / f"{name}.json"
        options = self.settings.method_options(name)
        done = self._read_done(path, self._fingerprint(name, options))
        if done is not None:
            log.info("compare: %s is already done", name)
            return done
        record: dict[str, Any] = {"method": name, "options": options, "milliseconds": None, "scores": []}
        record |= {"reason": None, "fingerprint": self._fingerprint(name, options)}
        try:
            milliseconds, scores = self._run(name, options)
            record |= {"milliseconds": milliseconds, "scores": [_as_record(score) for score in scores]}
        except WslError as error:  # a method that does not fit this classifier, layer or preset
            record["reason"] = str(error)
        except Exception as error:  # the others go on; the exit code tells
            log.debug("compare: %s failed", name, exc_info=error)
            record["reason"] = f"{type(error).__name__}: {error}"
            self.failures.append(Failure(name, f"{name}: {record['reason']}"))
        write_json(path, record)
        return record

    def _run(self, name: str, options: dict[str, Any]) -> tuple[float, list[Score]]:
        forget_warnings()  # a trouble of the method before is told again, for this classifier or a random one
        chosen = self._options(name, options)
        makers = {part: self._maker(chosen, part) for part in PARTS}
        run = MethodRun(
            self.context, self.cases, self._maker(chosen), makers, self.predictor,
            faithfulness=self.settings.faithfulness,
            tolerance=self.settings.tolerance,
            randomised_images=self.settings.randomised_images,
            scratch=self.context.run.path / FOLDER / SCRATCH,
        )  # fmt: skip
        return run.measure()

    def _read_done(self, path: Path, fingerprint: str) -> dict[str, Any] | None:
        """The stored record; None where there is none of these settings, and where it has no values: tried again."""
        try:
            record = read_json(path)
        except DataError:
            return None
        good = isinstance(record, dict) and record.get("fingerprint") == fingerprint and record.get("reason") is None
        return record if good else None

    def _fingerprint(self, name: str, options: dict[str, Any]) -> str:
        config = as_dict(self.context.config)
        cam = {key: value for key, value in config["cam"].items() if key not in ("method", "options", "scales", "flip")}
        settings = asdict(self.settings) | {"methods": None, "options": None}
        model = identity_of(self.context.config.model)
        if needs_training(self.context.config.model):
            model["train"] = self.context.run.stage("train").get("fingerprint")
        sections = {key: config[key] for key in ("boxes", "seeds", "refine", "evaluate", "seed")}
        about = {"wsl": __version__, "device": self.device.type, "inputs": hash_inputs(self.cases.samples, truth=True)}
        return hash_value([name, options, cam, settings, model, sections, about])

    def describe(self) -> tuple[str, ...]:
        """What the numbers are of, in sentences."""
        settings, config = self.settings, self.context.config
        scales = "one scale" if settings.scales == (1.0,) else f"scales {', '.join(map(str, settings.scales))}"
        checkpoint = "a given checkpoint" if config.model.checkpoint else config.model.name
        return (
            f"{len(self.cases)} images of {Path(str(config.data.root)).name}, classifier: {checkpoint}; maps of the "
            f"classes given, {scales}, {'flip' if settings.flip else 'no flip'}, preset {config.cam.preset}; "
            f"time of one image, median after a warm-up, on: {name_device(self.device)}.",
            *self._describe_truth(),
            f"Faithfulness: of the class that the classifier is surest of, image {self.predictor.side} pixels square, "
            f"{settings.faithfulness.predictions} predictions per image. Random parameters: in the first "
            f"{min(settings.randomised_images, len(self.cases))} images.",
        )

    def _describe_truth(self) -> list[str]:
        """A sentence for each kind of ground truth that the data set has."""
        boxes, masks = self.context.config.boxes, self.context.data.has_masks
        lines = []
        if masks:
            lines.append(
                "CAM mIoU: at each method's own best threshold on these images (oracle); refined mIoU: "
                f"{self.context.config.refine.method} of maps stretched so that this threshold is the background score."
            )
        if masks or self.context.data.has_boxes:
            lines.append(
                "MaxBoxAccV2: at each method's own best threshold (oracle); CorLoc: boxes by the rule "
                f"{boxes.rule} {boxes.threshold:g}; pointing: tolerance {self.settings.tolerance:g} pixels, on "
                f"{'masks' if masks else 'boxes'}."
            )
        return lines


def name_device(device: torch.device) -> str:
    """What the time was measured on."""
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"CPU, {threads} thread{'s' if threads > 1 else ''}"
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _as_record(score: Score) -> dict[str, Any]:
    """Without the curve, which is long and can be had from the evaluate stage."""
    return asdict(dataclasses.replace(score, curve=None))
