"""The table of contents of a run: one function per stage, in order. `run.py` decides which of them are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wsl.cam.options import STAGES as STAGES_OF_NETWORK
from wsl.config import as_dict
from wsl.errors import ModelError, suggest
from wsl.pipeline.classifiers import ReadyClassifier, identity_of, load_ready_classifier, needs_training
from wsl.pipeline.context import Context
from wsl.pipeline.device import select_device
from wsl.pipeline.guides import check_guides, find_guides, make_guides
from wsl.pipeline.images import do_images, missing
from wsl.pipeline.importing import describe_source, import_maps
from wsl.pipeline.label_maker import build_label_maker
from wsl.pipeline.making_maps import layer_names
from wsl.pipeline.run_folder import Failure, hash_inputs
from wsl.pipeline.work import BoxesWork, RefineWork, SeedsWork, StageFiles
from wsl.types import Sample

BEST = Path("train") / "best.safetensors"


@dataclass(frozen=True)
class Outcome:
    """What a stage did: numbers for the manifest, and the images it could not do."""

    counts: dict[str, int]
    failures: list[Failure]


@dataclass(frozen=True)
class Stage:
    """A stage's name, the stages it reads from, the settings that change its result, and how it is done.

    `suffix` names the per-image files of the stages that can be resumed image by image; None for the others.
    `check` raises what would stop the stage; `products` are files besides those per image that it must leave.
    """

    name: str
    after: tuple[str, ...]
    settings: Callable[[Context], dict[str, Any]]
    do: Callable[[Context], Outcome]
    folder: str
    suffix: str | None = None
    check: Callable[[Context], object] = lambda context: None
    products: Callable[[Context], tuple[str, ...]] = lambda context: ()


def train(context: Context) -> Outcome:
    """Image-level labels -> train/best.safetensors."""
    from wsl.pipeline.training import train_run

    result = train_run(context)
    counts = {"images": len(context.train_data.samples), "validation_images": len(context.validation_samples)}
    return Outcome(counts | {"best_epoch": result.best_epoch}, [Failure(*failure) for failure in result.failures])


def cams(context: Context) -> Outcome:
    """Images, or maps made elsewhere -> cams/<image id>.npz."""
    from wsl.pipeline.making_maps import make_maps

    if context.config.cam.source is None:
        failures = make_maps(context, check_classifier(context), select_device(context.config.device))
    else:
        failures = _import_maps(context)
    return Outcome(_image_counts(context, "cams", ".npz"), failures + context.data_failures())


def _import_maps(context: Context) -> list[Failure]:
    config, files = context.config, _files(context)
    return import_maps(
        config.cam, context.map_folder, context.samples, files=files, workers=config.workers, progress=context.progress
    )


def check_cams(context: Context) -> None:
    """Raises what would stop the stage: no usable classifier, or no usable folder of maps."""
    if context.config.cam.source is None:
        check_classifier(context)
    else:
        _ = context.map_folder


def check_classifier(context: Context) -> ReadyClassifier:
    """The classifier; raises what would stop the stage: no such file, classes, groups or layer."""
    ready = load_ready_classifier(context.config.model, context.classes, context.run.path / BEST)
    known = dict(ready.model.named_modules())
    for layer in layer_names(context.config.cam.layer):
        if layer not in known and layer != STAGES_OF_NETWORK:
            raise ModelError(f"cam.layer: {ready.model.name} has no layer '{layer}'.{suggest(layer, known)}")
    return ready


def boxes(context: Context) -> Outcome:
    """Score maps -> boxes/<image id>.json."""
    settings = context.config.boxes
    options = {"rule": settings.rule, "threshold": settings.threshold}
    options |= {"select": settings.select, "min_area": settings.min_area}
    return _each_image(context, "boxes", ".json", BoxesWork(_files(context), context.classes, options))


def seeds(context: Context) -> Outcome:
    """Score maps -> seeds/<image id>.png."""
    return _each_image(context, "seeds", ".png", SeedsWork(_files(context), asdict(context.config.seeds)))


def refine(context: Context) -> Outcome:
    """Seeds or scores and the image -> refined/<image id>.png."""
    maker = build_label_maker(context.config, context.classes)  # a bad option is told once, not once per image
    kind, settings = maker.refiner.guide, context.config.refine
    failures = _make_guides(context, kind) if kind and settings.guides is None else []
    work = RefineWork(_files(context), maker, find_guides(context, kind))
    outcome = _each_image(context, "refined", ".png", work)
    known = {failure.image_id for failure in failures}
    others = [failure for failure in outcome.failures if failure.image_id not in known]
    return Outcome(outcome.counts, failures + others)


def _make_guides(context: Context, kind: str) -> list[Failure]:
    return make_guides(context, kind, check_classifier(context), select_device(context.config.device))


def check_refine(context: Context) -> None:
    """Raises what would stop the stage: a refiner that wants what is neither given nor can be made."""
    check_guides(context, build_label_maker(context.config, context.classes).refiner.guide)


def evaluate(context: Context) -> Outcome:
    """Everything above against the ground truth -> scores/scores.json, scores/scores.csv."""
    from wsl.pipeline.scoring import score_run

    return Outcome(*score_run(context, _files(context)))


def export(context: Context) -> Outcome:
    """Label maps, boxes and how far they are to be trusted -> export/<format>, export/confidence.csv."""
    from wsl.pipeline.exporting import export_run

    return Outcome(*export_run(context, _files(context)))


def report(context: Context) -> Outcome:
    """Overlays of a few images -> overlays/<image id>.png."""
    from wsl.pipeline.picturing import draw_overlays

    return Outcome({"overlays": draw_overlays(context, _files(context))}, [])


def _files(context: Context) -> StageFiles:
    return StageFiles(context.run.path)


def _each_image(context: Context, folder: str, suffix: str, work: Callable[[Sample], None]) -> Outcome:
    """Runs `work` on the images that have maps and no output yet."""
    ready = [sample for sample in context.samples if _files(context).maps(sample.image_id).exists()]
    todo = missing(ready, lambda image_id: context.output(folder, image_id, suffix))
    failures = do_images(todo, work, workers=context.config.workers, title=folder, progress=context.progress)
    return Outcome(_image_counts(context, folder, suffix), failures)


def _image_counts(context: Context, folder: str, suffix: str) -> dict[str, int]:
    left = missing(context.samples, lambda image_id: context.output(folder, image_id, suffix))
    return {"images": len(context.samples), "done": len(context.samples) - len(left)}


def _train_dependencies(context: Context) -> dict[str, Any]:
    config = as_dict(context.config)
    data = {key: value for key, value in config["data"].items() if key not in ("root", "limit", "split")}
    model = {
        key: value for key, value in identity_of(context.config.model).items() if key not in ("checkpoint", "groups")
    }
    return {
        "data": data,
        "model": model,
        "train": config["train"],
        "seed": config["seed"],
        "inputs": hash_inputs((*context.train_data.samples, *context.validation_samples)),
    }


def _cam_dependencies(context: Context) -> dict[str, Any]:
    config = as_dict(context.config)
    if context.config.cam.source is not None:
        cam = describe_source(context.config.cam, context.map_folder)
        return {"cam": cam, "classes": list(context.classes.names)}
    settings: dict[str, Any] = {"cam": config["cam"], "classes": list(context.classes.names)}
    if not needs_training(context.config.model):
        settings["model"] = identity_of(context.config.model)
    return settings


def _section(name: str, context: Context) -> dict[str, Any]:
    """A stage that depends on its own section of the configuration only."""
    return {name: as_dict(context.config)[name]}


def _refine_dependencies(context: Context) -> dict[str, Any]:
    return _section("refine", context) | _section("labels", context)


def _section_and_inputs(name: str, context: Context) -> dict[str, Any]:
    """A stage that makes one result of all images: it also depends on which images there are and which are done."""
    states = {stage: context.run.stage(stage).get("counts") for stage in ("cams", "boxes", "seeds", "refine")}
    return _section(name, context) | {"inputs": hash_inputs(context.samples, truth=True), "done": states}


def _score_dependencies(context: Context) -> dict[str, Any]:
    """Mask AP is that of the regions that are exported."""
    return _section_and_inputs("evaluate", context) | {"export": {"min_area": context.config.export.min_area}}


def _score_files(context: Context) -> tuple[str, ...]:
    return ("scores/scores.json", "scores/scores.csv")


def _export_files(context: Context) -> tuple[str, ...]:
    return ("export/confidence.csv", *(f"export/{name}" for name in context.config.export.formats))


LAST = ("boxes", "refine")  # through them, every stage that makes something of an image
STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("train", (), _train_dependencies, train, "train", products=lambda context: (str(BEST),)),
        Stage("cams", ("train",), _cam_dependencies, cams, "cams", ".npz", check=check_cams),
        Stage("boxes", ("cams",), partial(_section, "boxes"), boxes, "boxes", ".json"),
        Stage("seeds", ("cams",), partial(_section, "seeds"), seeds, "seeds", ".png"),
        Stage("refine", ("seeds",), _refine_dependencies, refine, "refined", ".png", check=check_refine),
        Stage("evaluate", LAST, _score_dependencies, evaluate, "scores", products=_score_files),
        Stage("export", LAST, partial(_section_and_inputs, "export"), export, "export", products=_export_files),
        Stage("report", LAST, partial(_section_and_inputs, "report"), report, "overlays"),
    )
}
