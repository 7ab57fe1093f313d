"""Runs stages: skips what is done, redoes what its settings changed, resumes what was interrupted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from wsl.cam.engine import METHODS
from wsl.config import Config, as_dict
from wsl.errors import ConfigError
from wsl.export import EXPORTERS
from wsl.localize.threshold import check_threshold
from wsl.pipeline.classifiers import needs_training
from wsl.pipeline.context import Context
from wsl.pipeline.device import seed_everything, select_device
from wsl.pipeline.images import missing
from wsl.pipeline.making_maps import cam_options
from wsl.pipeline.run_folder import Failure, hash_inputs, hash_value
from wsl.pipeline.stages import STAGES, Stage
from wsl.refine.refiner import build_refiner
from wsl.seeds.background import check_background
from wsl.seeds.labels import check_two_thresholds

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
    """One stage alone, on what the stages before it left in the run folder."""
    for before in STAGES[name].after:
        if before == "train" and not needs_training(context.config.model):
            continue
        if context.run.stage(before).get("state") != "done":
            raise ConfigError(
                f"{name} needs the stage '{before}', which is not done in {context.run.path}: run `wsl {before}` first."
            )
    check_settings(context)
    _describe(context)
    return [run_stage(context, name)]


def check_settings(context: Context) -> None:
    """Raises ConfigError for settings that a later stage would refuse."""
    config = context.config
    METHODS.get(config.cam.method)
    cam_options(config.cam, "multi")
    check_counts(config)
    check_threshold(config.boxes.rule, config.boxes.threshold)
    check_two_thresholds(config.seeds.rule, config.seeds.foreground, config.seeds.background)
    check_background(config.refine.background_rule, config.refine.background)
    build_refiner(config.refine.method, **config.refine.options)
    for name in config.export.formats:
        EXPORTERS.get(name)
    select_device(config.device)


def check_counts(config: Config) -> None:
    """Raises ConfigError for numbers of things below what makes sense."""
    least = {
        "workers": (config.workers, 0),
        "data.limit": (1 if config.data.limit is None else config.data.limit, 1),
        "cam.batch_size": (config.cam.batch_size, 0),
        "evaluate.sweep_steps": (config.evaluate.sweep_steps, 1),
        "report.overlays": (config.report.overlays, 0),
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
    if name == "train" and not needs_training(context.config.model):
        why = "model.checkpoint is given" if context.config.model.checkpoint else "model.groups is given"
        log.info("train: skipped, %s", why)
        return StageResult(name, "skipped", {})
    settings = stage.settings(context)
    fingerprint = _fingerprint(context, stage, settings)
    _drop_outdated(context, stage, fingerprint, settings)
    before = context.run.stage(name)
    if _is_up_to_date(context, stage, before, fingerprint):
        log.info("%s: already done", name)
        return StageResult(name, "already done", before["counts"])
    context.run.begin(name, fingerprint, settings)
    outcome = stage.do(context)
    context.run.finish(name, outcome.counts, outcome.failures)
    return StageResult(name, "done", outcome.counts, tuple(outcome.failures))


def _fingerprint(context: Context, stage: Stage, settings: dict[str, Any]) -> str:
    upstream = [context.run.stage(before).get("fingerprint") for before in stage.after]
    return hash_value({"settings": settings, "after": upstream})


def _is_up_to_date(context: Context, stage: Stage, before: dict[str, Any], fingerprint: str) -> bool:
    if before.get("state") != "done" or before.get("fingerprint") != fingerprint or before.get("failures"):
        return False
    if stage.suffix is None:
        return (context.run.path / stage.folder).exists()
    suffix = stage.suffix
    return not missing(context.samples, lambda image_id: context.output(stage.folder, image_id, suffix))


def _drop_outdated(context: Context, stage: Stage, fingerprint: str, settings: dict[str, Any]) -> None:
    """Deletes outputs that were made with other settings or from other bytes."""
    before = context.run.stage(stage.name)
    if before and before.get("fingerprint") != fingerprint:
        changed = _changes(before.get("settings", {}), settings) or ["an earlier stage"]
        if stage.name == "train" and not context.overwrite:
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
