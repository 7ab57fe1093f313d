"""What a metric is, what it may be told, and the registry. A new metric is one class and one registration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, suggest
from wsl.evaluate.certainty.tables import ImageTable
from wsl.evaluate.result import Score
from wsl.evaluate.thresholds import GivenThreshold, ThresholdRequest
from wsl.registry import Registry
from wsl.types import ClassSet

KINDS = ("label_maps", "score_maps", "boxes")
STEPS = 100
POWERS = (0.5, 1, 2, 4, 8, 16, 32, 64)  # exponents of (1 - max)^x; PSA's are 4 to 32


@dataclass(frozen=True)
class MetricSettings:
    """What all metrics are told.

    `predicted_ignore`, `absent`, `background`: policies of segmentation scores. `steps`: the sweep over score maps has
    the thresholds 0, 1/steps, .. below 1. `rule`: background rule of the sweep; `values`: its values, if not these
    steps or, for `power`, POWERS. `protocol`: of MaxBoxAcc and PxAP. `requests`: the thresholds at which score maps
    are scored, besides the curve; `given`: those of them that are known before the images are read. `has_masks`,
    `has_boxes`: what there is to score against.
    """

    classes: ClassSet
    predicted_ignore: str = "background"
    absent: str = "skip"
    background: str = "include"
    steps: int = STEPS
    rule: str = "constant"
    values: tuple[float, ...] = ()
    protocol: str = "original"
    requests: tuple[ThresholdRequest, ...] = ()
    given: tuple[GivenThreshold, ...] = ()
    has_masks: bool = True
    has_boxes: bool = False

    def sweep_values(self) -> NDArray[np.float64]:
        """The values of the background rule, ascending and different, those of `given` among them."""
        own = [each.value for each in self.given if each.metric == "miou"]
        default = POWERS if self.rule == "power" else self.list_steps()
        return np.unique([*(self.values or default), *own])

    def list_steps(self) -> NDArray[np.float64]:
        """0, 1/steps, .. below 1."""
        return np.arange(self.steps) / self.steps


class Metric(Protocol):
    """Sums over images, and the scores that follow. Sent between processes, so it must be picklable."""

    def update(self, case: Any, /) -> None:
        """Adds one image."""

    def merge(self, other: Any, /) -> None:
        """Adds the images of `other`, made with the same settings."""

    def scores(self) -> list[Score]:
        """The scores of all images so far."""

    def tables(self) -> dict[str, ImageTable]:
        """Per-image tables by the name of their score, for intervals and comparisons; {} where there are none."""


@dataclass(frozen=True)
class MetricSpec:
    """A metric's kind of results, whether it is computed when none is asked for, and how it is made.

    `needs`: "masks", "boxes", as far as the truth must have them.
    """

    kind: str
    is_default: bool
    build: Callable[[MetricSettings], Metric]
    needs: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """What it is, in one line."""
        return (self.build.__doc__ or "").strip().splitlines()[0]


METRICS: Registry[MetricSpec] = Registry("metric")
Made = TypeVar("Made", bound=Callable[[MetricSettings], Any])


def register_metric(
    name: str, kind: str, *, needs: tuple[str, ...], is_default: bool = False
) -> Callable[[Made], Made]:
    """Decorator that files a metric's class under `name`; see `MetricSpec`."""

    def file_it(build: Made) -> Made:
        METRICS.register(name)(MetricSpec(kind, is_default, build, needs))
        return build

    return file_it


def choose_metrics(kind: str, wanted: Sequence[str], settings: MetricSettings) -> list[str]:
    """Names of the metrics to compute: `wanted`, all of the kind for "all", the default ones for none.

    Those that the truth cannot serve are left out unless asked for by name: then a ConfigError says what is missing.
    """
    fitting = [name for name in METRICS.in_order() if METRICS.get(name).kind == kind]
    for name in wanted:
        if name not in ("all", *fitting):
            raise ConfigError(f"metrics: '{name}' is none for {kind.replace('_', ' ')}.{suggest(name, fitting)}")
    named = [name for name in wanted if name != "all"]
    for name in named:
        _check_served(name, settings)
    pool = fitting if "all" in wanted else [name for name in fitting if METRICS.get(name).is_default]
    served = [name for name in pool if not _find_lacking(name, settings)]
    return named + [name for name in served if name not in named] if not named or "all" in wanted else named


def _check_served(name: str, settings: MetricSettings) -> None:
    lacking = _find_lacking(name, settings)
    if lacking:
        raise ConfigError(f"metrics: '{name}' needs {lacking[0]}, but there are none to score against.")


def _find_lacking(name: str, settings: MetricSettings) -> list[str]:
    has = {"masks": settings.has_masks, "boxes": settings.has_boxes}
    return [need for need in METRICS.get(name).needs if not has[need]]


class MetricSet:
    """Several metrics over the same images."""

    def __init__(self, names: Sequence[str], settings: MetricSettings) -> None:
        self.metrics = {name: METRICS.get(name).build(settings) for name in names}

    def update(self, case: Any) -> None:
        """Adds one image to all."""
        for metric in self.metrics.values():
            metric.update(case)

    def merge(self, other: MetricSet) -> None:
        """Adds the images of `other`, the same metrics."""
        for name, metric in self.metrics.items():
            metric.merge(other.metrics[name])

    def scores(self) -> list[Score]:
        """The scores of all, metric by metric."""
        return [score for metric in self.metrics.values() for score in metric.scores()]

    def choices(self) -> dict[str, float]:
        """The best threshold by metric, of the metrics that choose one."""
        chosen = [metric.choices() for metric in self.metrics.values() if hasattr(metric, "choices")]
        return {name: value for each in chosen for name, value in each.items()}

    def tables(self) -> dict[str, ImageTable]:
        """The tables of all."""
        return {name: table for metric in self.metrics.values() for name, table in metric.tables().items()}
