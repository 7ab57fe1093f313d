"""What is searched when nothing is named: thresholds and the options that matter, for each refiner."""

from __future__ import annotations

from wsl.errors import ConfigError
from wsl.pipeline.tuning.space import OPTIONS, Choices, Dimensions, Range, parse_value
from wsl.refine.refiner import REFINERS

BACKGROUND: dict[str, Dimensions] = {  # by refine.background_rule
    "constant": {"refine.background": Range(0.1, 0.7)},
    "power": {"refine.background": Range(1.0, 32.0, log=True)},
}
SEEDS: dict[str, Dimensions] = {  # by seeds.rule; every pair is in the right order
    "constant": {"seeds.foreground": Range(0.25, 0.8), "seeds.background": Range(0.02, 0.25)},
    "power": {"seeds.foreground": Range(1.0, 8.0, log=True), "seeds.background": Range(8.0, 64.0, log=True)},
}
TAKES_SEEDS = ("dense_crf", "region_grow", "grab_cut", "random_walk", "random_walker")
REFINER_OPTIONS: dict[str, Dimensions] = {
    "none": {},
    "dense_crf": {
        "unary": Choices(("labels", "scores")),
        "gt_prob": Range(0.5, 0.95),
        "bilateral_sxy": Range(10.0, 100.0, log=True),
        "bilateral_srgb": Range(3.0, 30.0, log=True),
        "bilateral_compat": Range(1.0, 10.0),
    },
    "pamr": {"iterations": Range(2, 40, log=True)},
    "par": {"iterations": Range(2, 40, log=True)},
    "region_grow": {
        "foreground": Range(0.3, 0.95),
        "background": Range(0.5, 0.99),
        "probabilities": Choices(("scores", "crf")),
    },
    "random_walk": {"beta": Range(2.0, 16.0)},
    "random_walker": {"beta": Range(30.0, 500.0, log=True)},
    "guided_filter": {"radius": Range(4, 40, log=True), "epsilon": Range(1e-5, 1e-2, log=True)},
    "superpixels": {"region_size": Range(50, 800, log=True), "compactness": Range(3.0, 30.0, log=True)},
    "grab_cut": {"iterations": Range(1, 5)},
}


def list_default_methods(own: str) -> list[str]:
    """The run's own refiner, then all refiners that need nothing but the image and its maps."""
    usable = [name for name in REFINER_OPTIONS if name in REFINERS.names() and not _wants_guide(name)]
    return [own, *(name for name in usable if name != own)]


def _wants_guide(name: str) -> bool:
    """Refiners whose default options cannot be built alone, or that look at a network's features."""
    try:
        return bool(REFINERS.get(name)().guide)
    except ConfigError:
        return True


def default_dimensions(method: str, background_rule: str, seed_rule: str) -> Dimensions:
    """Thresholds and options of a refiner or of a chain `[a,b]`; options that a refiner does not have are left out."""
    value = parse_value(method)
    parts = value if isinstance(value, tuple) else (value,)
    dimensions = dict(BACKGROUND[background_rule])
    if any(part in TAKES_SEEDS for part in parts):
        dimensions |= SEEDS[seed_rule]
    for part in parts:
        prefix = f"{OPTIONS}{part}." if isinstance(value, tuple) else OPTIONS
        known = getattr(REFINERS.get(part), "__dataclass_fields__", {})
        options = REFINER_OPTIONS.get(part, {})
        dimensions |= {f"{prefix}{name}": each for name, each in options.items() if name in known}
    return dimensions
