"""What a search leaves in its folder: the table of trials, what mattered, and the best settings as a configuration."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from wsl.config import as_dict
from wsl.files import write_bytes
from wsl.pipeline.tuning.importance import Importance
from wsl.pipeline.tuning.space import show_value, to_overrides
from wsl.pipeline.tuning.trying import configure
from wsl.pipeline.tuning.tuning import BASE, Tuning
from wsl.report.overlay import write_png
from wsl.report.scatter import Scatter, draw_scatters

TABLE, BEST, MATTERED, PLOT = "table.csv", "best.yaml", "importance.csv", "importance.png"


def write_tuning(found: Tuning, folder: Path, run: Path) -> None:
    """table.csv, importance.csv and .png, and best.yaml: the run's configuration with the best settings in it."""
    write_bytes(folder / TABLE, _table(found).encode())
    write_bytes(folder / MATTERED, _importance_table(found.importance).encode())
    write_bytes(folder / BEST, _best(found, folder, run).encode())
    if found.importance:
        plots = [_to_scatter(each) for each in found.importance]
        write_png(folder / PLOT, draw_scatters(plots))


def show_command(folder: Path) -> str:
    """The command that makes the run's label maps anew with the best settings; its score maps stay."""
    return f"wsl run --config {folder / BEST}"


def _table(found: Tuning) -> str:
    """One row per trial and number of images, best first among the most images."""
    own = found.own.value
    keys = list(dict.fromkeys(key for outcome in found.every for key in outcome.settings))
    rows = sorted(found.every, key=lambda outcome: -outcome.images)
    lines = [[f"{found.objective}", "gain", "images", "seconds", "own settings", "error", *keys]]
    for outcome in rows:
        full = outcome.images == found.images and own is not None and outcome.value is not None
        gain = repr(round(outcome.value - own, 6)) if full and outcome.value is not None and own is not None else ""
        cells = [show_value(outcome.settings[key]) if key in outcome.settings else "" for key in keys]
        value = "" if outcome.value is None else repr(round(outcome.value, 6))
        is_own = "" if outcome.settings else "yes"
        lines.append([value, gain, str(outcome.images), f"{outcome.seconds:g}", is_own, outcome.error, *cells])
    return _to_csv(lines)


def _importance_table(importance: Sequence[Importance]) -> str:
    lines = [["setting", "span", "share of variance", "bin", "mean objective", "trials"]]
    for each in importance:
        for label, mean, count in each.bins:
            lines.append([each.key, f"{each.span:.6f}", f"{each.share:.4f}", label, f"{mean:.6f}", str(count)])
    return _to_csv(lines)


def _to_csv(lines: Sequence[Sequence[str]]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(lines)
    return stream.getvalue()


def _best(found: Tuning, folder: Path, run: Path) -> str:
    config = configure(folder / BASE, found.best.settings)
    config.output = str(run)
    changed = " ".join(to_overrides(found.best.settings)) or "nothing: no trial was better than the run's own settings"
    provenance = f"# {found.chosen.provenance}, split {found.chosen.split}, {found.images} images"
    lines = [f"# {found.objective} {found.best.value}, own settings {found.own.value}", provenance, f"# {changed}"]
    return "\n".join(lines) + "\n" + OmegaConf.to_yaml(OmegaConf.create(as_dict(config)))


def _to_scatter(each: Importance) -> Scatter:
    title = f"{each.key}: {each.span:.3f}"
    return Scatter(title, each.points, [(label, mean) for label, mean, _ in each.bins])
