"""`wsl tune RUN`: the whole search, from what is asked to what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from wsl.cam.store import read_pyramid
from wsl.config import Config, as_dict
from wsl.errors import ConfigError, DataError
from wsl.evaluate.metrics import MetricSettings
from wsl.files import write_bytes
from wsl.pipeline.context import Context
from wsl.pipeline.label_maker import check_unguided
from wsl.pipeline.run_folder import Failure, hash_inputs
from wsl.pipeline.tuning.choosing_images import ChosenImages, choose_images
from wsl.pipeline.tuning.default_spaces import default_dimensions, list_default_methods
from wsl.pipeline.tuning.halving import rank_outcomes, run_halving
from wsl.pipeline.tuning.images import ImageReader, forget_images, shuffle
from wsl.pipeline.tuning.importance import Importance, compute_importance
from wsl.pipeline.tuning.objectives import LabelFreeGoal, Objective, build_objective, choose_default, is_label_free
from wsl.pipeline.tuning.space import Settings, Space, build_space, parse_value, show_value
from wsl.pipeline.tuning.trials import Outcome, TrialStore
from wsl.pipeline.tuning.trying import Look, TrialWork, configure
from wsl.pipeline.work import StageFiles
from wsl.progress import track
from wsl.quality.label_free_objectives import LABEL_FREE_OBJECTIVES
from wsl.seeds.label_free import LabelFree
from wsl.types import Sample
from wsl.workers import map_in_processes

FOLDER = "tune"
BASE = "base.yaml"
FEW = 2  # trials per process below which one process does all


@dataclass(frozen=True)
class TuneRequest:
    """What `wsl tune` was asked for; None and () = choose for me."""

    searches: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    objective: str | None = None
    split: str | None = None
    trials: int = 48
    images: int = 60
    seed: int = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        for name in ("trials", "images"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name}: expected at least 1, but got {getattr(self, name)}.")
        if self.seed < 0:
            raise ConfigError(f"--seed: expected at least 0, but got {self.seed}.")


@dataclass(frozen=True)
class Tuning:
    """What was found. `ranked`: trials on all images, best first; `every`: all outcomes of the search."""

    objective: str
    about: str
    chosen: ChosenImages
    images: int
    threshold: float | None
    ranked: tuple[Outcome, ...]
    every: tuple[Outcome, ...]
    importance: tuple[Importance, ...]
    failures: tuple[Failure, ...] = field(default=())

    @property
    def best(self) -> Outcome:
        """The winner; the run's own settings where nothing is better."""
        return self.ranked[0]

    @property
    def own(self) -> Outcome:
        """The run's own settings."""
        return next(outcome for outcome in self.ranked if not outcome.settings)

    @property
    def gain(self) -> float | None:
        """The best objective less that of the run's own settings."""
        values = self.best.value, self.own.value
        return None if values[0] is None or values[1] is None else values[0] - values[1]


def tune_run(context: Context, request: TuneRequest, folder: Path) -> Tuning:
    """Searches, or goes on with the search that `folder` holds; files are those of `TrialStore` and `base.yaml`.

    ConfigError for what cannot be searched and when `folder` holds another search, DataError when no image is usable.
    """
    name = request.objective or choose_default(_count_scales(context))
    chosen = choose_images(context, request.split, is_label_free(name))
    objective = build_objective(name, _make_settings(context))
    space = make_space(context.config, request)
    base = folder / BASE
    _check_folder(folder, context)
    reader = ImageReader(
        StageFiles(context.run.path), len(context.classes), "views" in objective.needs, "masks" in objective.needs
    )
    samples, threshold, failures = _look(context, reader, chosen, request)
    if isinstance(objective, LabelFreeGoal):
        objective = replace(objective, threshold=threshold)
    search = _describe(context.config, request, objective, chosen, space, samples)
    write_base(base, context.config)
    trials = list_trials(base, space, request)
    store = TrialStore(folder, search)
    work = TrialWork(base, reader, tuple(samples), objective)
    searcher = _Searcher(context, store, work, _workers(context, request))
    ranked = run_halving(trials, len(samples), searcher.evaluate)
    forget_images()
    return _sum_up(objective, chosen, store, ranked, trials, failures)


@dataclass(frozen=True)
class _Searcher:
    context: Context
    store: TrialStore
    work: TrialWork
    workers: int

    def evaluate(self, trials: Sequence[Settings], images: int) -> list[Outcome]:
        """Stored outcomes, and those of the trials that have none yet, each written as soon as it is known."""
        todo = [settings for settings in trials if self.store.find(settings, images) is None]
        cuts = [settings for settings in todo if self.work.can_sweep([settings, settings])]
        if len(cuts) > 1:
            for outcome in self.work.sweep(cuts, images):
                self.store.add(outcome)
        jobs = [(settings, images) for settings in todo if self.store.find(settings, images) is None]
        done = map_in_processes(self.work, jobs, self.workers, few=FEW)
        for outcome in track(done, self.context.progress, f"{images} images", len(jobs)):
            self.store.add(outcome)
        found = [self.store.find(settings, images) for settings in trials]
        return [outcome for outcome in found if outcome is not None]


def _check_folder(folder: Path, context: Context) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / BASE).exists():
        raise ConfigError(f"--out {folder}: the folder holds other files; choose another.")


def _count_scales(context: Context) -> int:
    """Scales of the first map, 1 for maps made elsewhere."""
    files = StageFiles(context.run.path)
    for sample in context.samples:
        if files.maps(sample.image_id).exists():
            pyramid = read_pyramid(files.maps(sample.image_id), sample.image_id)
            return 1 if pyramid is None else len(pyramid.levels) // pyramid.num_layers
    raise ConfigError(f"{context.run.path}: no image of data.split={context.config.data.split} has score maps.")


def _make_settings(context: Context) -> MetricSettings:
    own = context.config.evaluate
    return MetricSettings(
        classes=context.classes,
        predicted_ignore=own.predicted_ignore,
        absent=own.absent,
        background=own.background,
        has_masks=context.data.has_masks,
        has_boxes=context.data.has_boxes,
    )


def make_space(config: Config, request: TuneRequest) -> Space:
    """What is searched: what was asked for, else the default space of each refiner."""
    own = _own_method(config)
    boxes = bool(request.searches) and all(text.startswith("boxes.") for text in request.searches)
    default = [own] if boxes or request.searches else list_default_methods(own)
    methods = list(dict.fromkeys(request.methods)) or default
    rules = config.refine.background_rule, config.seeds.rule
    return build_space(methods, request.searches, {name: default_dimensions(name, *rules) for name in methods})


def _own_method(config: Config) -> str:
    method: Any = config.refine.method
    return show_value(list(method) if not isinstance(method, str) else method)


def list_trials(base: Path, space: Space, request: TuneRequest) -> list[Settings]:
    """The run's own settings first; one trial of each refiner is built now, so that a bad name is told at once."""
    trials: list[Settings] = [{}, *space.list_trials(request.trials, request.seed)]
    for name in space.methods:
        first = next((each for each in trials[1:] if each["refine.method"] == parse_value(name)), None)
        if first is not None:
            check_unguided(configure(base, first), "tune")
    return trials


def _look(
    context: Context, reader: ImageReader, chosen: ChosenImages, request: TuneRequest
) -> tuple[list[Sample], float, list[Failure]]:
    """Usable images in the order of the search, the label-free threshold of their maps, and what failed."""
    samples = shuffle(chosen.samples, request.images, request.seed)
    total, kept, failures = LabelFree(Look.thresholds()), [], []
    looks = map_in_processes(Look(reader), samples, _workers(context, request))
    for sample, look in zip(samples, track(looks, context.progress, "looking", len(samples)), strict=True):
        if isinstance(look, Failure):
            failures.append(look)
        else:
            total.merge(look)
            kept.append(sample)
    if not kept:
        raise DataError(f"No image can be used; the first: {failures[0].message}")
    return kept, total.choose().threshold if total.images else 0.0, failures


def _workers(context: Context, request: TuneRequest) -> int:
    return context.config.workers if request.workers is None else request.workers


def _describe(
    config: Config,
    request: TuneRequest,
    objective: Objective,
    chosen: ChosenImages,
    space: Space,
    samples: Sequence[Sample],
) -> dict[str, Any]:
    """What makes two searches the same: all but the number of trials, which may grow, and of processes."""
    settings = as_dict(config)
    sections = ("boxes", "seeds", "refine", "labels", "evaluate")
    own = {key: settings[key] for key in sections if key in settings}
    about = {"objective": objective.name, "split": chosen.split, "seed": request.seed, "space": space.describe()}
    return about | {"images": hash_inputs(samples), "settings": own, "threshold": getattr(objective, "threshold", None)}


def write_base(path: Path, config: Config) -> None:
    """The run's settings as a configuration that trials are laid over."""
    write_bytes(path, OmegaConf.to_yaml(OmegaConf.create(as_dict(config))).encode())


def _sum_up(
    objective: Objective,
    chosen: ChosenImages,
    store: TrialStore,
    ranked: Sequence[Outcome],
    trials: Sequence[Settings],
    failures: Sequence[Failure],
) -> Tuning:
    asked = [outcome for outcome in store.outcomes.values() if outcome.settings in trials]
    fewest = min(outcome.images for outcome in asked)
    first = [outcome for outcome in asked if outcome.images == fewest]
    errors = [Failure("trial", f"{outcome.settings}: {outcome.error}") for outcome in first if outcome.error]
    label_free = isinstance(objective, LabelFreeGoal)
    about = LABEL_FREE_OBJECTIVES.get(objective.name).about if label_free else f"{objective.name} against the truth"
    return Tuning(
        objective=objective.name,
        about=about,
        chosen=chosen,
        images=max(outcome.images for outcome in asked),
        threshold=objective.threshold if isinstance(objective, LabelFreeGoal) else None,
        ranked=tuple(ranked),
        every=tuple(rank_outcomes(asked)),
        importance=tuple(compute_importance(first)),
        failures=(*failures, *errors),
    )
