"""What a classifier's outputs are called, and which one a word means."""

from __future__ import annotations

from collections.abc import Sequence

from wsl.errors import ConfigError, suggest
from wsl.models.torchvision_net import PUBLISHED_OUTPUTS

SHOWN = 5  # names listed in a message


def list_imagenet_names() -> tuple[str, ...]:
    """The 1000 names of ImageNet-1k in the order of the outputs, as torchvision publishes them with its weights."""
    from torchvision.models import MobileNet_V2_Weights

    return tuple(MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"])


def name_outputs(num_outputs: int) -> tuple[str, ...]:
    """Names for a network without a class list: ImageNet's for 1000 outputs, otherwise "output 0", "output 1", ..."""
    if num_outputs == PUBLISHED_OUTPUTS:
        return list_imagenet_names()
    return tuple(f"output {index}" for index in range(num_outputs))


def find_output(wanted: str, names: Sequence[str]) -> int:
    """Index of the output that `wanted` means: its number from 0, its name, or a part of exactly one name.

    Letter case does not count. Raises ConfigError when nothing or more than one output fits.
    """
    text = wanted.strip().casefold()
    if text.isdecimal():
        return _check_number(int(text), len(names))
    plain = [name.casefold() for name in names]
    found = [index for index, name in enumerate(plain) if name == text]
    found = found or [index for index, name in enumerate(plain) if text and text in name]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(f"classes: no class is called '{wanted.strip()}'.{suggest(wanted.strip(), names)}")
    shown = ", ".join(f"{index} {names[index]}" for index in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise ConfigError(
        f"classes: '{wanted.strip()}' fits {len(found)} classes ({shown}{more}): give a full name, or the number."
    )


def find_outputs(wanted: str, names: Sequence[str]) -> tuple[int, ...]:
    """Indices of the outputs in a comma-separated list such as "tabby, 285", doubles left out."""
    parts = [part for part in wanted.split(",") if part.strip()]
    if not parts:
        raise ConfigError(f"classes: expected names or numbers separated by commas, but got '{wanted}'.")
    return tuple(dict.fromkeys(find_output(part, names) for part in parts))


def _check_number(number: int, count: int) -> int:
    if number >= count:
        raise ConfigError(f"classes: expected an output number in 0..{count - 1}, but got {number}.")
    return number
