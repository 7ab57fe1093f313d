"""Runs stages: skips what is done, redoes what its settings changed, resumes what was interrupted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsl.config import Config, as_dict
from wsl.errors import ConfigError
from wsl.localize.threshold import check_threshold
from wsl.models import MODELS
from wsl.pipeline.classifiers import needs_training
from wsl.pipeline.context import Context
from wsl.pipeline.device import seed_everything, select_device
from wsl.pipeline.exporting import check_export
from wsl.pipeline.images import missing
from wsl.pipeline.label_maker import build_label_maker
from wsl.pipeline.making_maps import cam_options
from wsl.pipeline.run_folder import Failure, hash_inputs, hash_value
from wsl.pipeline.stages import STAGES, Stage
from wsl.pipeline.training import train_settings

log = logging.getLogger("wsl")


@dataclass(frozen=True)
class StageResult:
    """What became of one stage: `done`, `already done` or `skipped`, its counts and its failures."""

    name: str
    state: str
    counts: dict[str, int]
    failures: tuple[Failure, ...] = ()


def run_all(context: Context) -> list[StageResult]:
    """All stages in order. The configuration is checked as a whole first, so nothing fails late for a typo."""
    check_settings(context)
    _describe(context)
    results = []
    for name in STAGES:
        results.append(run_stage(context, name))
    return results


def run_one(context: Context, name: str) -> list[StageResult]:
    """One stage alone, on what the stages before it left in the run folder with these same settings."""
    check_settings(context)
    for before in STAGES:
        if before in _ancestors(name) and _is_needed(context, before):
            _require(context, before, name)
    _describe(context)
    return [run_stage(context, name)]


def _ancestors(name: str) -> set[str]:
    """All stages that a stage builds on."""
    return {each for before in STAGES[name].after for each in (before, *_ancestors(before))}


def _require(context: Context, before: str, name: str) -> None:
    """Raises ConfigError unless the stage `before` is done with the settings of now: no result may mix two settings."""
    done = context.run.stage(before)
    if done.get("state") != "done":
        raise ConfigError(f"{name} needs the stage '{before}', which is not done in {context.run.path}: run it first.")
    if done["fingerprint"] != _fingerprint(context, before):
        changed = _changes(done["settings"], _settings(context, before)) or ["an earlier stage"]
        raise ConfigError(
            f"{name} needs the stage '{before}', which was done with other settings ({', '.join(changed)}): give the "
            f"settings of the run, or do it again with `wsl {before}` or `wsl run`."
        )


def check_settings(context: Context) -> None:
    """Raises ConfigError for settings that a later stage would refuse."""
    config = context.config
    check_model(config)
    cam_options(config.cam, "multi").build_method()
    check_counts(config)
    check_threshold(config.boxes.rule, config.boxes.threshold)
    build_label_maker(config)
    check_export(config.export)
    select_device(config.device)


def check_model(config: Config) -> None:
    """Raises ConfigError for an unknown model, a checkpoint that is not there, and bad training settings."""
    checkpoint = config.model.checkpoint
    if checkpoint is not None and not Path(checkpoint).is_file():
        raise ConfigError(f"model.checkpoint: no such file: {checkpoint}.")
    if not config.model.name.startswith("timm/"):
        MODELS.get(config.model.name)
    label_mode = "multi" if config.train.label_mode == "auto" else config.train.label_mode
    train_settings(config, label_mode)


def check_counts(config: Config) -> None:
    """Raises ConfigError for numbers of things below what makes sense."""
    least: dict[str, tuple[float, float]] = {
        "workers": (config.workers, 0),
        "data.limit": (1 if config.data.limit is None else config.data.limit, 1),
        "cam.batch_size": (config.cam.batch_size, 0),
        "evaluate.sweep_steps": (config.evaluate.sweep_steps, 1),
        "evaluate.intervals": (config.evaluate.intervals, 0),
        "report.overlays": (config.report.overlays, 0),
        "boxes.min_area": (config.boxes.min_area, 0),
    }
    for key, (value, lowest) in least.items():
        if value < lowest:
            raise ConfigError(f"{key}: expected at least {lowest}, but got {value}.")


def _describe(context: Context) -> None:
    seed_everything(context.config.seed)
    data = context.data
    about = {"format": data.format, "classes": list(data.classes.names), "background": data.classes.background_name}
    hashed = {"images": len(context.samples), "inputs": hash_inputs(context.samples)}
    context.run.describe(as_dict(context.config), data=about | hashed)


def run_stage(context: Context, name: str) -> StageResult:
    """Brings one stage up to date."""
    stage = STAGES[name]
    if not _is_needed(context, name):
        log.info("train: skipped, %s", _why_untrained(context.config))
        return StageResult(name, "skipped", {})
    settings, fingerprint = _settings(context, name), _fingerprint(context, name)
    if context.run.stage(name).get("fingerprint") != fingerprint:
        stage.check(context)  # what cannot be done must be told before earlier results are deleted
    _drop_outdated(context, stage, fingerprint, settings)
    before = context.run.stage(name)
    if _is_up_to_date(context, stage, before, fingerprint):
        log.info("%s: already done", name)
        return StageResult(name, "already done", before["counts"])
    context.run.begin(name, fingerprint, settings)
    outcome = stage.do(context)
    context.run.finish(name, outcome.counts, outcome.failures)
    return StageResult(name, "done", outcome.counts, tuple(outcome.failures))


def _is_needed(context: Context, name: str) -> bool:
    return name != "train" or (context.config.cam.source is None and needs_training(context.config.model))


def _why_untrained(config: Config) -> str:
    if config.cam.source is not None:
        return "cam.source is given"
    return "model.checkpoint is given" if config.model.checkpoint else "model.groups is given"


def _settings(context: Context, name: str) -> dict[str, Any]:
    """The settings that change a stage's result, worked out once per run."""
    known = context.stage_settings
    if name not in known or (STAGES[name].suffix is None and name != "train"):
        known[name] = STAGES[name].settings(context)
    return known[name]


def _fingerprint(context: Context, name: str) -> str:
    """A hash of a stage's settings and of those of all stages that it builds on."""
    upstream = [_fingerprint(context, each) for each in STAGES[name].after if _is_needed(context, each)]
    return hash_value({"settings": _settings(context, name), "after": upstream})


def _is_up_to_date(context: Context, stage: Stage, before: dict[str, Any], fingerprint: str) -> bool:
    if before.get("state") != "done" or before.get("fingerprint") != fingerprint or before.get("failures"):
        return False
    if not all((context.run.path / path).exists() for path in stage.products(context)):
        return False
    if stage.suffix is None:
        return True
    suffix = stage.suffix
    return not missing(context.samples, lambda image_id: context.output(stage.folder, image_id, suffix))


def _drop_outdated(context: Context, stage: Stage, fingerprint: str, settings: dict[str, Any]) -> None:
    """Deletes outputs that were made with other settings or from other bytes."""
    before = context.run.stage(stage.name)
    if before and before.get("fingerprint") != fingerprint:
        changed = _changes(before.get("settings", {}), settings) or ["an earlier stage"]
        trained = any((context.run.path / "train").glob("*.safetensors"))
        if stage.name == "train" and trained and not context.overwrite:
            raise ConfigError(
                f"{context.run.path} holds a classifier trained with other settings ({', '.join(changed)}): "
                "choose another output=DIR, or add --overwrite to train again."
            )
        log.info("%s: changed since it was done (%s), done again", stage.name, ", ".join(changed))
        context.run.clear(stage.name, stage.folder)
    if stage.suffix is not None:
        context.run.drop_stale(stage.folder, stage.suffix, context.samples)


def _changes(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys whose values differ."""
    changed: list[str] = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            changed.extend(_changes(old, new, f"{prefix}{key}."))
        elif old != new:
            changed.append(f"{prefix}{key}")
    return changed
