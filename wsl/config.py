"""Every setting of a run, with its default and its allowed values. Only `pipeline` and `cli` import this file.

A configuration is: these defaults, then a YAML file, then `key=value` overrides. Unknown keys are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from wsl.errors import ConfigError, suggest

CHOICES: dict[str, tuple[str, ...]] = {
    "data.format": ("auto", "voc", "coco", "folder", "table", "images"),
    "model.head": ("pooled", "original"),
    "train.label_mode": ("auto", "single", "multi"),
    "train.optimizer": ("adamw", "sgd"),
    "train.schedule": ("cosine", "poly"),
    "train.class_balance": ("none", "weights", "sampler"),
    "train.resize": ("stretch", "crop"),
    "train.precision": ("auto", "float32", "bfloat16", "float16"),
    "cam.source_format": ("auto", "npz", "npy", "png", "irn", "psa", "psa_crf", "puzzle_cam", "clip_es"),
    "cam.classes": ("given", "predicted"),
    "cam.precision": ("float32", "bfloat16", "float16"),
    "boxes.rule": ("fixed", "relative", "percentile", "otsu"),
    "boxes.select": ("largest", "all"),
    "seeds.rule": ("constant", "power"),
    "refine.background_rule": ("constant", "power"),
    "refine.bands": ("rgb", "all"),
    "labels.rule": ("argmax", "class_thresholds", "relative", "sec_cues", "two_alpha", "two_threshold"),
    "labels.conflict": ("winner", "ignore", "smaller"),
    "labels.small_regions": ("background", "ignore"),
    "evaluate.predicted_ignore": ("background", "exclude", "error"),
    "evaluate.absent": ("skip", "ground_truth", "zero"),
    "evaluate.background": ("include", "exclude"),
    "evaluate.label_free": (
        *("none", "area_prior", "colour_contrast", "normalised_cut", "otsu", "otsu_per_image", "scale_agreement"),
    ),
    "export.review": ("list", "none"),
}


@dataclass
class DataConfig:
    """Which images, and how their labels are read."""

    root: str | None = None
    format: str = "auto"
    classes: Any = None
    background_class: str | None = None
    val_fraction: float = 0.2
    train_split: str = "train"
    val_split: str = "val"
    split: str = "all"
    limit: int | None = None


@dataclass
class ModelConfig:
    """The classifier, and where its weights come from."""

    name: str = "resnet50"
    head: str = "pooled"
    output_stride: int = 16
    weights: Any = "imagenet"
    checkpoint: str | None = None
    groups: Any = None


@dataclass
class TrainConfig:
    """Training from image-level labels."""

    epochs: int = 12
    batch_size: int = 16
    image_size: int = 288
    label_mode: str = "auto"
    optimizer: str = "adamw"
    learning_rate: float = 3e-4
    head_learning_rate_factor: float = 10.0
    weight_decay: float = 0.01
    momentum: float = 0.9
    schedule: str = "cosine"
    warmup_epochs: float = 1.0
    class_balance: str = "none"
    augment: list[str] = field(default_factory=lambda: ["hflip", "color"])
    resize: str = "stretch"
    precision: str = "auto"
    freeze_batch_norm: bool = False
    freeze: list[str] = field(default_factory=list)
    label_smoothing: float = 0.0


@dataclass
class CamConfig:
    """Score maps."""

    source: str | None = None
    source_format: str = "auto"
    method: str = "cam"
    options: dict[str, Any] = field(default_factory=dict)
    layer: Any = None
    target: str | None = None
    scales: list[float] = field(default_factory=lambda: [1.0, 0.5, 1.5, 2.0])
    flip: bool = True
    long_side: int | None = None
    tile: int | None = None
    tile_overlap: int = 64
    preset: str = "irn"
    classes: str = "given"
    class_threshold: float = 0.5
    batch_size: int = 0
    precision: str = "float32"
    channels_last: bool = True
    compile: bool = False


@dataclass
class BoxesConfig:
    """Boxes around the strong regions of the score maps."""

    rule: str = "relative"
    threshold: float = 0.3
    select: str = "largest"
    min_area: float = 0.001


@dataclass
class SeedsConfig:
    """Seed label maps by the two-threshold rule."""

    rule: str = "constant"
    foreground: float = 0.3
    background: float = 0.05


@dataclass
class RefineConfig:
    """From seeds or scores to class evidence: one refiner, or a list of them one after the other."""

    method: Any = "pamr"
    background_rule: str = "constant"
    background: float = 0.2
    options: dict[str, Any] = field(default_factory=dict)
    bands: str = "rgb"
    guides: str | None = None


@dataclass
class LabelsConfig:
    """From the evidence to the final label maps: a label rule, then corrections."""

    rule: str = "argmax"
    options: dict[str, Any] = field(default_factory=dict)
    conflict: str = "winner"
    conflict_margin: float = 0.1
    min_confidence: float = 0.0
    min_area: Any = 0.0
    small_regions: str = "background"
    fill_holes: float = 0.0
    ignore_margin: int = 0


@dataclass
class EvaluateConfig:
    """How the results are scored; only this stage reads ground-truth masks and boxes."""

    predicted_ignore: str = "background"
    absent: str = "skip"
    background: str = "include"
    sweep_steps: int = 100
    label_free: str = "scale_agreement"
    intervals: int = 1000


@dataclass
class ExportConfig:
    """Which files are written for other tools."""

    formats: list[str] = field(default_factory=lambda: ["voc", "coco"])
    keep: float = 1.0
    min_confidence: float = 0.0
    min_area: float = 0.0001
    review: str = "list"


@dataclass
class ReportConfig:
    """Pictures for people."""

    overlays: int = 12


@dataclass
class Config:
    """One run."""

    output: str = "runs/run"
    seed: int = 0
    device: str = "auto"
    workers: int = 2
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    cam: CamConfig = field(default_factory=CamConfig)
    boxes: BoxesConfig = field(default_factory=BoxesConfig)
    seeds: SeedsConfig = field(default_factory=SeedsConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    report: ReportConfig = field(default_factory=ReportConfig)


def load_config(source: str | None, overrides: list[str]) -> Config:
    """Defaults, then the YAML file or preset named `source`, then `key=value` overrides.

    Raises ConfigError naming the file and the key for anything unknown or of a wrong type.
    """
    merged = _load_merged(source, overrides)
    try:
        config = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise ConfigError(f"Configuration: {_first_line(error)}") from None
    if not isinstance(config, Config):
        raise ConfigError("Configuration: expected a mapping of settings.")
    _check_choices(config)
    return config


def _load_merged(source: str | None, overrides: list[str]) -> Any:
    merged = OmegaConf.structured(Config)
    if source is not None:
        path = find_config(source)
        merged = _merge(merged, _read_yaml(path), str(path))
    return _merge(merged, _read_overrides(overrides), "command line")


def find_config(source: str) -> Path:
    """A path, or the name of a preset that comes with wsl (`magnetic_tile`)."""
    if Path(source).is_file():
        return Path(source)
    presets = {path.stem: path for folder in preset_folders() for path in sorted(folder.glob("*.yaml"))}
    name = Path(source).stem
    if name not in presets or Path(source).parent != Path("."):
        raise ConfigError(f"No such configuration file: {source}.{suggest(name, presets)}")
    return presets[name]


def preset_folders() -> list[Path]:
    """Where presets lie: inside an installed package, and beside it in a checkout."""
    package = Path(__file__).parent
    return [folder for folder in (package.parent / "configs", package / "configs") if folder.is_dir()]


def as_dict(config: Config) -> dict[str, Any]:
    """Plain nested dict of all settings."""
    container = OmegaConf.to_container(OmegaConf.structured(config))
    return {str(key): value for key, value in container.items()} if isinstance(container, dict) else {}


def show_yaml(source: str | None, overrides: list[str]) -> str:
    """All settings as YAML that can be used as a configuration: references such as ${data.root} stay references."""
    load_config(source, overrides)  # refuses what a run would refuse
    return str(OmegaConf.to_yaml(_load_merged(source, overrides)))


def _read_yaml(path: Path) -> Any:
    try:
        return OmegaConf.load(path)
    except (OmegaConfBaseException, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {_first_line(error)}") from None
    except Exception as error:  # the YAML parser's own classes are not a dependency of ours
        raise ConfigError(f"{path}: expected YAML, but {' '.join(str(error).split())}") from None


def _read_overrides(overrides: list[str]) -> Any:
    for override in overrides:
        if "=" not in override or override.startswith("="):
            raise ConfigError(f"Expected key=value, but got '{override}'.")
    try:
        return OmegaConf.from_dotlist(overrides)
    except Exception as error:
        raise ConfigError(f"Command line: {_first_line(error)}") from None


def _merge(base: Any, update: Any, where: str) -> Any:
    for key in ("cam.method", "refine.method", "labels.rule"):
        section, name = key.split(".")
        method = OmegaConf.select(update, key) if OmegaConf.is_dict(update) else None
        if method is not None and method != base[section][name]:
            base[section].options = {}  # the options belong to the method that is replaced
    try:
        return OmegaConf.merge(base, update)
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(f"{where}: {_explain(error)}") from None


def _explain(error: Exception) -> str:
    """OmegaConf's own sentence with the full key, without its internal lines."""
    key = getattr(error, "full_key", None)
    message = _first_line(error)
    return f"{key}: {message}" if key and key not in message else message


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _check_choices(config: Config) -> None:
    for key, allowed in CHOICES.items():
        section, name = key.split(".")
        value = getattr(getattr(config, section), name)
        if value not in allowed:
            raise ConfigError(
                f"{key}: expected one of {', '.join(allowed)}, but got '{value}'.{suggest(value, allowed)}"
            )
