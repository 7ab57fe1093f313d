"""Class groups: a target class as a set of the classifier's outputs, so that no training is needed.

The score of a group is the log-sum-exp of its logits, the logit of "one of these" under a softmax classifier.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from wsl.errors import ConfigError
from wsl.types import ClassSet

Groups = dict[int, tuple[int, ...]]  # class_id -> output indices of the classifier


def identity_groups(classes: ClassSet) -> Groups:
    """Class id c is output c - 1: a classifier trained on these classes."""
    return {class_id: (class_id - 1,) for class_id in classes.ids}


def parse_groups(groups: Mapping[str, Any], classes: ClassSet, num_outputs: int) -> Groups:
    """Groups by class name, values like `281`, `"281-285"`, `"281-285, 383"` or a list of those.

    Classes that are not named have no group and get no map. Raises ConfigError naming the class for an unknown
    class, an empty group or an output outside 0..num_outputs - 1.
    """
    parsed: Groups = {}
    for name, value in groups.items():
        if name not in classes.names:
            known = ", ".join(classes.names[:10])
            raise ConfigError(f"model.groups: '{name}' is not a class of the data set ({known}, ...).")
        outputs = sorted(set(_parse_outputs(name, value)))
        if not outputs or outputs[0] < 0 or outputs[-1] >= num_outputs:
            raise ConfigError(f"model.groups.{name}: expected outputs in 0..{num_outputs - 1}, but got {value!r}.")
        parsed[classes.id_of(name)] = tuple(outputs)
    return parsed


def _parse_outputs(name: str, value: Any) -> list[int]:
    if isinstance(value, bool):
        raise ConfigError(f"model.groups.{name}: expected output numbers, but got {value!r}.")
    if isinstance(value, int):
        return [value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [output for part in value for output in _parse_outputs(name, part)]
    outputs: list[int] = []
    for part in str(value).split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None:
            raise ConfigError(f"model.groups.{name}: expected numbers like '151-268, 275', but got {value!r}.")
        outputs.extend(range(int(match[1]), int(match[2] or match[1]) + 1))
    return outputs
