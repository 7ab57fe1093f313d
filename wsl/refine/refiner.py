"""What a refiner is: image + scores or seeds of one image -> class evidence (K + 1, H, W), background first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wsl.errors import ConfigError, DataError
from wsl.refine.inputs import Evidence as Evidence
from wsl.refine.inputs import RefineInput as RefineInput
from wsl.registry import Registry, check_option_names
from wsl.seeds.labels import label_of_evidence
from wsl.types import LabelMap


class Refiner(ABC):
    """One refinement method. Subclasses are frozen dataclasses whose fields are the options: picklable, without state.

    A call is a pure function of one image, so images may be spread over processes and threads.
    """

    @property
    @abstractmethod
    def needs(self) -> str:
        """`scores`, `seeds` (which must then not be None) or `either`."""

    @property
    def guide(self) -> str:
        """Kind of `RefineInput.guide` that is wanted, `features`, `attention` or `edges`; "" = none."""
        return ""

    @property
    def keeps_cues(self) -> bool:
        """Whether it grows from the given seeds, whatever a refiner before it or a label rule makes of the scores."""
        return False

    @abstractmethod
    def compute_evidence(self, inputs: RefineInput) -> Evidence:
        """Evidence for K >= 1 classes; see `__call__`."""

    def __call__(self, inputs: RefineInput) -> Evidence:
        """Class evidence float32 (K + 1, H, W), >= 0, background first.

        An image without classes is background everywhere (ones), and no backend is asked.
        Raises DataError when the method needs seeds or a guide and there is none.
        """
        return self.refine_all([inputs])[0]

    def refine_all(self, inputs: Sequence[RefineInput]) -> list[Evidence]:
        """Evidence of several label sets of one image, as if each were refined alone."""
        for one in inputs:
            self._check(one)
        if not inputs or not inputs[0].class_ids:
            return [np.ones((1, *one.size), np.float32) for one in inputs]
        return self.compute_all(inputs)

    def compute_all(self, inputs: Sequence[RefineInput]) -> list[Evidence]:
        """`compute_evidence` of each; methods that share work between label sets of one image override it."""
        return [self.compute_evidence(one) for one in inputs]

    def _check(self, inputs: RefineInput) -> None:
        if self.needs == "seeds" and inputs.seeds is None and inputs.class_ids:
            raise DataError(f"{type(self).__name__} needs seeds, but got None; make them with seed_label_map.")
        if self.guide and inputs.guide is None and inputs.class_ids:
            raise DataError(f"{type(self).__name__} needs a guide of kind '{self.guide}', but got None.")


REFINERS: Registry[type[Refiner]] = Registry("refiner")


def check_at_least(name: str, value: float, least: float, *, strictly: bool = False) -> None:
    """Raises ConfigError unless the option is finite and >= `least` (or > when `strictly`)."""
    good = np.isfinite(value) and (value > least if strictly else value >= least)
    if not good:
        raise ConfigError(
            f"{name}: expected a number {'above' if strictly else 'of at least'} {least}, but got {value}."
        )


def build_refiner(name: str | Sequence[str], **options: Any) -> Refiner:
    """The refiner of that name with its options; a list of names is a chain, whose options are {name: {option: value}}.

    ConfigError with the nearest name for an unknown name or option.
    """
    if not isinstance(name, str):
        return _build_chain(name, options)
    method = REFINERS.get(name)
    check_option_names(f"refine.method={name}", method, options)
    refiner: Refiner = method(**options)
    return refiner


def _build_chain(names: Sequence[str], options: Mapping[str, Any]) -> Refiner:
    from wsl.refine.chain import Chain  # it is a refiner itself

    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"refine.method: expected a refiner's name or a list of names, but got {names!r}.")
    for name, own in options.items():
        if name not in names or not isinstance(own, Mapping):
            raise ConfigError(
                f"refine.options: for the chain {list(names)} expected {{refiner: {{option: value}}}} with these "
                f"refiners, but got {name}={own!r}."
            )
    return Chain(tuple(build_refiner(name, **options.get(name, {})) for name in names))


def label_map_of(evidence: Evidence, class_ids: Sequence[int]) -> LabelMap:
    """Label map uint8 (H, W) of evidence (K + 1, H, W), background first: argmax, ties go to background."""
    return label_of_evidence(evidence[0], evidence[1:], class_ids)
