"""Constants of published random walks, and one set of ours, as data."""

from __future__ import annotations

from dataclasses import dataclass

AFFINITIES = ("gradient", "colour", "edges", "features", "attention")
NORMALISERS = ("global", "class", "range", "none")


@dataclass(frozen=True)
class WalkConstants:
    """Constants of one walk; see `RandomWalk` for what they mean."""

    affinity: str
    beta: float
    steps_log2: int
    radius: int = 5
    stride: int = 4
    sharpen: float = 1
    normalise: str = "none"
    borders: str = "full"
    damp_edges: bool = False
    walk_background: bool = False
    colour_sigma: float = 30
    layers: int = 8
    sinkhorn: int = 3
    box_threshold: float = 0


PRESETS: dict[str, WalkConstants] = {
    # Ours: IRN's walk on the slopes of the image, which needs no network. Chosen without masks.
    "gradient": WalkConstants("gradient", 10, 8, normalise="class"),
    "colour": WalkConstants("colour", 10, 8, normalise="class"),
    # IRN, ReCAM, PuzzleCAM: scores * (1 - edge), divided by the largest of all classes
    "irn": WalkConstants("edges", 10, 8, normalise="global", damp_edges=True),
    "adv_cam": WalkConstants("edges", 10, 8, sharpen=1.5, normalise="global", damp_edges=True),
    # AffinityNet: the background walks with the classes; published with refine.background of power 16
    "psa": WalkConstants("features", 8, 8, stride=8, borders="published", walk_background=True),
    # SEAM and MCTformer with AffinityNet
    "seam": WalkConstants("features", 8, 6, stride=8, borders="published", walk_background=True),
    "clip_es": WalkConstants("attention", 1, 1, normalise="range", box_threshold=0.4),
    # MCTformer's attention: the raw sum over layers, once
    "mctformer": WalkConstants("attention", 1, 0, normalise="range", layers=0, sinkhorn=0),
}
