"""The network at one scale: one forward pass, or one per tile of a large image, and the raw maps of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from wsl.cam.diagnosis import diagnose, warn_once
from wsl.cam.layers import find_stages
from wsl.cam.method import CamMethod
from wsl.cam.options import STAGES, CamOptions
from wsl.cam.targets import Targets
from wsl.cam.tiling import Tile, plan_tiles, stitch
from wsl.cam.trace import Trace
from wsl.models.classifier import Classifier

LayerMaps = list[list[Tensor]]  # per layer, per image: (K_b, h, w)


class ScaleRun:
    """`batch` float (B, 3, H, W), normalised, seen by one or several methods in one forward pass.

    logits: (B, O). Of an input larger than a tile they come from the whole image scaled down to the tile's side.
    """

    def __init__(self, model: Classifier, batch: Tensor, methods: Sequence[CamMethod], options: CamOptions) -> None:
        self.model, self.options = model, options
        self.batch = batch.contiguous(memory_format=torch.channels_last) if options.channels_last else batch
        for method in methods:
            method.check_fit(model, options.layers)
        self.needs = frozenset().union(*(method.needs for method in methods))
        self.layers = {method: resolve_layers(model, method, options.layers, batch) for method in methods}
        self.tiles = self._plan()
        self._warn_of_tiles(methods)
        self._trace = self._record(self.batch) if self.tiles is None else None
        self.logits: Tensor = self._trace.logits if self._trace is not None else self._whole_logits()

    def num_layers(self, method: CamMethod) -> int:
        """How many layers a method looks at."""
        return len(self.layers[method])

    def _plan(self) -> list[Tile] | None:
        side, size = self.options.tile, (self.batch.shape[2], self.batch.shape[3])
        return None if side is None or max(size) <= side else plan_tiles(size, side, self.options.tile_overlap)

    def _warn_of_tiles(self, methods: Sequence[CamMethod]) -> None:
        for method in methods if self.tiles is not None else ():
            if not method.local or self.model.linear_head() is None:
                cause = (
                    "every tile is weighed by itself, so strengths may step from tile to tile; see docs/cam_methods.md"
                )
                warn_once(type(method).__name__, cause, self.model.net)

    def _record(self, batch: Tensor) -> Trace:
        layers = [layer for each in self.layers.values() for layer in each]
        # bound to the options, not to self: a cycle would keep every trace alive until the garbage collector runs
        return Trace(self.model, batch, layers, self.needs, partial(self.options.autocast, batch.device))

    def _whole_logits(self) -> Tensor:
        factor = (self.options.tile or 1) / max(self.batch.shape[2:])
        size = [max(32, round(side * factor)) for side in self.batch.shape[2:]]
        small = functional.interpolate(self.batch, size, mode="bilinear", antialias=True)
        with torch.no_grad(), self.options.autocast(self.batch.device):
            logits: Tensor = self.model(small)
        return logits

    def maps(self, targets: Targets) -> dict[CamMethod, LayerMaps]:
        """Raw signed maps of every method, per layer and image."""
        if self._trace is not None:
            return {method: self._compute(self._trace, method, targets) for method in self.layers}
        tiles = self.tiles or []
        parts = [self._tile_maps(tile, targets) for tile in tiles]
        return {
            method: [
                [stitch([part[method][index][row] for part in parts], tiles) for row in range(len(targets))]
                for index in range(len(layers))
            ]
            for method, layers in self.layers.items()
        }

    def _tile_maps(self, tile: Tile, targets: Targets) -> dict[CamMethod, LayerMaps]:
        trace = self._record(tile.cut(self.batch))
        return {method: self._compute(trace, method, targets) for method in self.layers}

    def _compute(self, trace: Trace, method: CamMethod, targets: Targets) -> LayerMaps:
        found = []
        for layer in self.layers[method]:
            maps = method.compute_maps(trace, layer, targets)
            diagnose(trace, layer, method, maps, targets)
            found.append([each * each.shape[1] * each.shape[2] if method.per_position else each for each in maps])
        return found


def resolve_layers(
    model: Classifier, method: CamMethod, layers: Sequence[str], batch: Tensor
) -> tuple[str | None, ...]:
    """The layers that a method looks at; None is the map that a pooled head averages."""
    if tuple(layers) == (STAGES,) or (not layers and method.default_layers == STAGES):
        with torch.enable_grad():
            return find_stages(model, batch[:1])
    return tuple(layers) or (None,)
