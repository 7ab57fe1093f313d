"""Predictions for one image, and raw maps of chosen classes by several methods, layers and poolings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsl.cam.engine import ScaleRunner, no_side_effects
from wsl.cam.method import CamMethod
from wsl.cam.options import CamOptions
from wsl.cam.pooling import POOLINGS, Pooled, compare_poolings
from wsl.cam.pyramid import MapPyramid
from wsl.cam.targets import TARGETS
from wsl.pipeline.explained_files import Column
from wsl.pipeline.named_classifier import NamedClassifier, Prediction
from wsl.types import Image

Choose = Callable[[Sequence[Prediction]], tuple[int, ...]]
Levels = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class Evidence:
    """predictions: of all outputs, the most probable first. outputs: those that have maps, in the order of the maps'
    first axis. columns: maps by method and layer. pooled: by kind of pooling. input_size: what the network saw."""

    predictions: tuple[Prediction, ...]
    outputs: tuple[int, ...]
    columns: tuple[Column, ...]
    pooled: dict[str, Pooled]
    input_size: tuple[int, int]

    def prediction_of(self, output: int) -> Prediction:
        """The prediction of one output."""
        return next(each for each in self.predictions if each.output == output)


def compute_evidence(
    classifier: NamedClassifier,
    image: Image,
    methods: Mapping[str, CamMethod],
    options: CamOptions,
    choose: Choose,
    *,
    poolings: bool = False,
) -> Evidence:
    """One forward pass for predictions and maps of all methods, one more for the poolings.

    options: layers, preset and target; scales and flips are not used. choose: outputs to explain, from the predictions.
    """
    batch = classifier.make_input(image, options.preset)
    with no_side_effects(classifier.model):
        runner = ScaleRunner(classifier.model, methods, options, lambda _scale, _rows: batch)
        first = runner.start(1)
        predictions = classifier.predict(first.logits[0])
        outputs = choose(predictions)
        target = TARGETS[options.target_name]
        levels = runner.finish(first, [[target((output,)) for output in outputs]])
        pooled = compare_poolings(classifier.model, batch, [outputs])[0] if poolings else {}
    by_output = {each.output: each for each in predictions}
    make = _ColumnMaker(image, [by_output[output] for output in outputs], options)
    columns = [
        column
        for name, method in methods.items()
        for column in make.of_method(name, method, first.layers[method], levels[name][0])
    ]
    columns += [make.of_pooling(kind, pooled[kind]) for kind in POOLINGS if kind in pooled]
    return Evidence(predictions, outputs, tuple(columns), pooled, (batch.shape[2], batch.shape[3]))


@dataclass(frozen=True)
class _ColumnMaker:
    image: Image
    explained: Sequence[Prediction]
    options: CamOptions

    def of_method(self, name: str, method: CamMethod, layers: Sequence[str | None], levels: Levels) -> list[Column]:
        """A column per chosen layer; the layers that a method takes by itself are fused in one."""
        preset = method.fit_preset(self.options.preset)
        parts: list[tuple[str, Levels]] = [("", levels)]
        if self.options.layers:
            parts = [(f" {layer}", (level,)) for layer, level in zip(layers, levels, strict=True)]
        return [
            Column((name + part).replace(" ", "."), name + part, self._pyramid(maps), preset, self._grids(maps))
            for part, maps in parts
        ]

    def of_pooling(self, kind: str, pooled: Pooled) -> Column:
        """A column for the maps under one pooling, with the class's logit below each."""
        clip = self.options.preset.relu == "each"
        levels = ((pooled.maps.clamp(min=0) if clip else pooled.maps).cpu().numpy(),)
        notes = tuple(f"logit {float(pooled.logits[each.output]):.2f}" for each in self.explained)
        return Column(f"{kind}_pooling", f"{kind} pooling", self._pyramid(levels), self.options.preset, notes)

    def _pyramid(self, levels: Levels) -> MapPyramid:
        """Raw maps of the explained classes, numbered 1..K until they are written."""
        ids = tuple(range(1, len(self.explained) + 1))
        probabilities = np.array([each.probability for each in self.explained], np.float32)
        size = self.image.shape[0], self.image.shape[1]
        return MapPyramid("", levels, ids, size, probabilities, ids, len(levels))

    def _grids(self, levels: Levels) -> tuple[str, ...]:
        grid = " + ".join(f"{level.shape[1]} x {level.shape[2]}" for level in levels)
        return (f"map of {grid}",) * len(self.explained)
