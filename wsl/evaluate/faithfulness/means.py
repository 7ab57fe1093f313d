"""Means over a data set of what was measured for each pair of image and class."""

from __future__ import annotations

from collections.abc import Mapping

from wsl.errors import ConfigError
from wsl.evaluate.result import Score, compute_mean, name_class
from wsl.types import ClassSet

MEANS = ("pairs", "classes")


class PairMeans:
    """Named values of (image, class) pairs; the mean over all pairs, or over the means of the classes.

    protocol: the text that goes with the scores. mean: "pairs" or "classes".
    """

    def __init__(self, protocol: str, mean: str = "pairs") -> None:
        if mean not in MEANS:
            raise ConfigError(f"mean: expected one of {', '.join(MEANS)}, but got '{mean}'.")
        self.protocol, self.mean = protocol, mean
        self._values: dict[str, dict[int, list[float]]] = {}  # name -> class id -> values

    def update(self, class_id: int, values: Mapping[str, float | None]) -> None:
        """Adds one pair. None = not defined for it, and left out."""
        for name, value in values.items():
            classes = self._values.setdefault(name, {})
            if value is not None:
                classes.setdefault(class_id, []).append(float(value))

    def scores(self, classes: ClassSet | None = None) -> list[Score]:
        """One score per name in the order of their first appearance; None without any defined value."""
        return [self._score(name, found, classes) for name, found in self._values.items()]

    def _score(self, name: str, found: dict[int, list[float]], classes: ClassSet | None) -> Score:
        by_class = {class_id: compute_mean(values) for class_id, values in sorted(found.items())}
        pairs = [value for _, values in sorted(found.items()) for value in values]
        return Score(
            name=name,
            value=compute_mean(pairs if self.mean == "pairs" else list(by_class.values())),
            protocol=self.protocol,
            conventions={"mean": f"over {self.mean}"},
            per_class={name_class(class_id, classes): {"mean": value} for class_id, value in by_class.items()},
            counts={"image-class pairs": len(pairs)},
        )
