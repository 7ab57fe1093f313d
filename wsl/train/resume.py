"""What a training needs to go on after it was killed: one file, whose bytes depend on its contents only."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsl.errors import ConfigError, ModelError
from wsl.files import write_bytes
from wsl.models.classifier import Classifier
from wsl.train.settings import TrainSettings
from wsl.types import Sample

ABOUT = "about"
NET, OPTIMIZER = "net.", "optimizer."


@dataclass
class TrainState:
    """Everything beside tensors: one record per finished epoch, images that could not be read, the fp16 scaler."""

    history: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)


def compute_fingerprint(
    classifier: Classifier, settings: TrainSettings, train: Sequence[Sample], val: Sequence[Sample]
) -> dict[str, Any]:
    """What must be the same for a training to be continued; `workers` may change."""
    about: dict[str, Any] = asdict(settings)
    del about["workers"]
    about["augment"] = list(settings.augment)
    about |= {"model": classifier.name, "output_stride": classifier.output_stride, "head": classifier.head}
    about |= {"outputs": classifier.num_outputs, "training images": _hash(train), "validation images": _hash(val)}
    return about


def save_state(
    path: Path,
    classifier: Classifier,
    optimizer: torch.optim.Optimizer,
    state: TrainState,
    fingerprint: Mapping[str, Any],
) -> None:
    """Writes the state atomically.

    One flat dict of tensors and one JSON text: pickle notes which of its objects are the same object, so nested
    dicts would give other bytes after a restart.
    """
    flat: dict[str, Any] = {NET + name: _plain(value) for name, value in classifier.net.state_dict().items()}
    for index, entries in optimizer.state_dict()["state"].items():
        flat |= {f"{OPTIMIZER}{index}.{key}": _plain(value) for key, value in entries.items() if value is not None}
    about = asdict(state) | {"fingerprint": dict(fingerprint)}
    flat[ABOUT] = json.dumps(about, sort_keys=True, allow_nan=False)
    buffer = io.BytesIO()
    torch.save(flat, buffer)
    write_bytes(path, buffer.getvalue())


def load_state(
    path: Path, classifier: Classifier, optimizer: torch.optim.Optimizer, fingerprint: Mapping[str, Any]
) -> TrainState:
    """Puts tensors into classifier and optimizer and returns the rest.

    Raises ModelError for a broken file and ConfigError when it belongs to a training with other settings.
    """
    flat, about = _read(path)
    _check_same(path, about.pop("fingerprint"), fingerprint)
    classifier.net.load_state_dict(_below(flat, NET))
    _load_optimizer(optimizer, _below(flat, OPTIMIZER))
    return TrainState(**about)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        flat = torch.load(path, map_location="cpu", weights_only=True)
        return flat, json.loads(flat[ABOUT])
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise ModelError(f"{path}: broken training state ({reason}); delete the file to train anew.") from None


def _check_same(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changed = [key for key in now if then.get(key) != now[key]]
    if changed:
        differences = ", ".join(f"{key} {then.get(key)} -> {now[key]}" for key in changed)
        raise ConfigError(
            f"{path}: holds a training with other settings ({differences}); use another folder, or delete the file "
            "to train anew."
        )


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    parameters: list[nn.Parameter] = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        own = parameters[int(index)]
        # the memory layout of the parameter, so that the next steps do the same arithmetic in the same order
        same = own.shape == value.shape and value.ndim > 0
        state.setdefault(int(index), {})[key] = torch.empty_like(own).copy_(value) if same else value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _below(flat: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in flat.items() if name.startswith(prefix)}


def _plain(value: Any) -> Tensor:
    tensor = torch.as_tensor(value).detach()
    return tensor.to("cpu", copy=True, memory_format=torch.contiguous_format)


def _hash(samples: Sequence[Sample]) -> str:
    lines = "\n".join(f"{sample.image_id}\t{sample.class_ids}" for sample in samples)
    return f"{len(samples)} ({hashlib.sha256(lines.encode()).hexdigest()[:12]})"
