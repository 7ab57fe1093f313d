"""Weights from files and from their publishers. Files are data: nothing in them is ever executed."""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wsl.errors import ModelError
from wsl.models.classifier import Classifier

log = logging.getLogger("wsl")

WEIGHT_SUFFIXES = (".pth", ".pt", ".safetensors", ".bin", ".ckpt")
WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "net.")


@dataclass(frozen=True)
class LoadReport:
    """Parameter names of the network that the file lacks, names only the file has, and names whose shapes differ.

    The missing and mismatched ones keep their fresh values.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by parameter name from a .safetensors or a torch file, on the CPU.

    Common wrappers ({"state_dict": ...}, {"model": ...}) and prefixes ("module.") are taken off.
    Raises ModelError naming the file when it is missing, broken, holds pickled code or no tensors.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file.")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: expected a state dict (names and tensors), but it holds a {type(content).__name__}.")
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise ModelError(f"{path}: expected a state dict (names and tensors), but it holds no tensors.")
    return _strip_prefixes(state)


def load_weights(classifier: Classifier, state: Mapping[str, Tensor], source: str = "weights") -> LoadReport:
    """Copies `state` into `classifier.net`; a class head of another size is left fresh and reported.

    Raises ModelError when nothing matches, or when parameters other than the head's have other shapes (the
    file belongs to another architecture).
    """
    state = classifier.adapt_state(state)
    own = classifier.net.state_dict()
    common = [name for name in own if name in state]
    fitting = {name: state[name] for name in common if state[name].shape == own[name].shape}
    mismatched = tuple(name for name in common if name not in fitting)
    foreign = [name for name in mismatched if not name.startswith(classifier.head_prefixes)]
    if foreign:
        name = foreign[0]
        raise ModelError(
            f"{source}: '{name}' has shape {tuple(state[name].shape)}, but {classifier.name} expects "
            f"{tuple(own[name].shape)}; the file belongs to another architecture ({len(foreign)} such parameters)."
        )
    if not fitting:
        example = next(iter(state), "nothing")
        raise ModelError(
            f"{source}: no parameter fits {classifier.name} (the file has names like '{example}', "
            f"the model like '{next(iter(own))}')."
        )
    classifier.net.load_state_dict(fitting, strict=False)
    missing = tuple(name for name in own if name not in state and not name.endswith("num_batches_tracked"))
    unexpected = tuple(name for name in state if name not in own)
    _warn_of_gaps(classifier, missing, source)
    return LoadReport(missing, unexpected, mismatched)


def _warn_of_gaps(classifier: Classifier, missing: tuple[str, ...], source: str) -> None:
    gaps = [name for name in missing if not name.startswith(classifier.head_prefixes)]
    if gaps:
        log.warning("%s lacks %d parameters of %s, e.g. '%s': they stay random.", source, len(gaps), classifier.name,
                    gaps[0])  # fmt: skip


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: expected a safetensors file, but {_first_line(error)}.") from None


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)|Unsupported (?:class|operand):? (\S+)", str(error))
        what = f" ({next(group for group in found.groups() if group)})" if found else ""
        raise ModelError(
            f"{path}: refused, it is not a plain state dict: it holds pickled Python objects{what} or is broken; "
            "save model.state_dict(), best as .safetensors."
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(f"{path}: expected a torch weights file, but {_first_line(error)}.") from None


def _strip_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name[len(prefix) :]: value for name, value in state.items()}
    return state


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
