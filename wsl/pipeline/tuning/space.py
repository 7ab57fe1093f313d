"""What is searched: for each setting a range or a list of choices, and where trials lie in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from scipy.stats import qmc

from wsl.errors import ConfigError, suggest
from wsl.pipeline.run_folder import hash_value
from wsl.refine.refiner import REFINERS

METHOD = "refine.method"
OPTIONS = "refine.options."
TUNABLE = ("boxes", "seeds", "refine", "labels")  # sections of the configuration that are applied after the maps
DIGITS = 4  # significant digits of a tried number: more would only be noise in tables and commands
Settings = dict[str, Any]  # setting -> value


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, uniform or uniform in the logarithm; whole numbers when both ends are."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ConfigError(f"search: expected a range LOW..HIGH with LOW < HIGH, but got {self.low}..{self.high}.")
        if self.log and self.low <= 0:
            raise ConfigError(f"search: a range with :log must begin above 0, but got {self.low}.")

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def place(self, share: float) -> float:
        """The value at `share` in [0, 1) of the range."""
        if self.whole and not self.log:
            return self.low + math.floor(share * (self.high - self.low + 1))
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low + share * (high - low)
        value = math.exp(value) if self.log else value
        return round(value) if self.whole else float(f"{value:.{DIGITS}g}")

    def show(self) -> str:
        """As it is written on the command line."""
        return f"{self.low:g}..{self.high:g}{':log' if self.log else ''}"


@dataclass(frozen=True)
class Choices:
    """A few values, each as likely as the others."""

    values: tuple[Any, ...]

    def place(self, share: float) -> Any:
        """The value at `share` in [0, 1)."""
        return self.values[int(share * len(self.values))]

    def show(self) -> str:
        """As it is written on the command line."""
        return ",".join(map(show_value, self.values))


Dimension = Range | Choices
Dimensions = dict[str, Dimension]


@dataclass(frozen=True)
class Space:
    """For each refiner its dimensions; trials take the refiners in turn, and each refiner's points fill its own cube.

    Points of one refiner are a scrambled Sobol sequence (Owen 1998), so any first part of it is spread evenly, and more
    trials go on where fewer ended.
    """

    methods: Mapping[str, Dimensions] = field(default_factory=dict)

    def list_trials(self, count: int, seed: int) -> list[Settings]:
        """The first `count` trials, all different, as settings; fewer when the space holds no more."""
        names = list(self.methods)
        rows = {name: self._sample(name, count, seed) for name in names}
        found: list[Settings] = []
        for number in range(count):
            for name in names:
                trial = rows[name][number]
                if trial not in found and len(found) < count:
                    found.append(trial)
        return found

    def _sample(self, name: str, count: int, seed: int) -> list[Settings]:
        dimensions = self.methods[name]
        if not dimensions:
            return [{METHOD: parse_value(name)}] * count
        own_seed = int(hash_value([seed, name, list(dimensions)])[:8], 16)
        engine = qmc.Sobol(len(dimensions), scramble=True, seed=np.random.default_rng(own_seed))
        points = engine.random_base2(max(0, math.ceil(math.log2(count))))[:count]
        return [
            {METHOD: parse_value(name)}
            | {key: each.place(share) for (key, each), share in zip(dimensions.items(), row.tolist(), strict=True)}
            for row in points
        ]

    def describe(self) -> dict[str, dict[str, str]]:
        """Plain text, for the file of trials."""
        return {
            name: {key: each.show() for key, each in dimensions.items()} for name, dimensions in self.methods.items()
        }


def parse_search(text: str) -> tuple[str, Dimension]:
    """`KEY=LOW..HIGH`, `KEY=LOW..HIGH:log` or `KEY=VALUE,VALUE,...` as (key, dimension); a list value is [a,b].

    ConfigError for a setting that changes the score maps or the scoring, and for what is none of the three.
    """
    key, equals, values = text.partition("=")
    section = key.split(".")[0]
    if not equals or not values:
        raise ConfigError(f"--search: expected KEY=LOW..HIGH[:log] or KEY=VALUE,VALUE, but got '{text}'.")
    if section not in TUNABLE or "." not in key:
        hint = suggest(section, TUNABLE)
        raise ConfigError(f"--search: '{key}' is not searched; only what follows the score maps is.{hint}")
    if key == METHOD:
        raise ConfigError("--search: refiners are chosen by --method NAME, which may be given several times.")
    return key, _parse_dimension(values, text)


def _parse_dimension(values: str, text: str) -> Dimension:
    body, _, scale = values.partition(":") if ".." in values else (values, "", "")
    if ".." not in body:
        return Choices(tuple(dict.fromkeys(map(parse_value, split_values(body)))))
    ends = [parse_value(end) for end in body.split("..")]
    numeric = len(ends) == 2 and all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
    if not numeric or scale not in ("", "log"):
        raise ConfigError(f"--search: expected KEY=LOW..HIGH or KEY=LOW..HIGH:log with numbers, but got '{text}'.")
    return Range(ends[0], ends[1], scale == "log")


def split_values(text: str) -> list[str]:
    """The parts between commas that are not inside brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    if depth or not all(part.strip() for part in parts):
        raise ConfigError(f"--search: expected values with commas between them, but got '{text}'.")
    return [part.strip() for part in parts]


def parse_value(text: str) -> Any:
    """A number, true or false, null, a list as a tuple, or the text itself."""
    if text.startswith("[") and text.endswith("]"):
        return tuple(parse_value(part) for part in split_values(text[1:-1])) if text[1:-1].strip() else ()
    words = {"true": True, "false": False, "null": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def show_value(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, tuple | list):
        return f"[{','.join(map(show_value, value))}]"
    words = {True: "true", False: "false", None: "null"}
    if value is None or isinstance(value, bool):
        return words[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def to_overrides(settings: Settings) -> list[str]:
    """`key=value` for each setting, the refiner first: a new refiner drops the options of the old one."""
    keys = sorted(settings, key=lambda key: key != METHOD)
    return [f"{key}={show_value(settings[key])}" for key in keys]


def build_space(methods: Sequence[str], searches: Sequence[str], defaults: Mapping[str, Dimensions]) -> Space:
    """One cube per refiner of `methods`: what is searched, or `defaults` of the refiner when nothing is named.

    methods: names, or chains as `[a,b]`. An option (`refine.options.NAME`, in a chain `refine.options.REFINER.NAME`)
    is searched with the refiners that have it. ConfigError for an option that none has, and a setting given twice.
    """
    if not searches:
        return Space({name: dict(defaults[name]) for name in methods})
    given: Dimensions = {}
    for text in searches:
        key, dimension = parse_search(text)
        if key in given:
            raise ConfigError(f"--search: '{key}' is given twice.")
        given[key] = dimension
    for key in given:
        if not any(has_setting(name, key) for name in methods):
            raise ConfigError(f"--search: '{key}' is no option of {', '.join(methods)}.{_suggest_option(methods, key)}")
    return Space({name: {key: each for key, each in given.items() if has_setting(name, key)} for name in methods})


def has_setting(method: str, key: str) -> bool:
    """Whether a setting means something with this refiner or chain; ConfigError for an unknown refiner."""
    known = list_options(method)
    return not key.startswith(OPTIONS) or key.removeprefix(OPTIONS) in known


def list_options(method: str) -> list[str]:
    """Option names of a refiner; of a chain `[a,b]` with the refiner's name and a dot before them."""
    parts = parse_value(method)
    if isinstance(parts, tuple):
        return [f"{part}.{name}" for part in parts for name in list_options(part)]
    return [each.name for each in fields(REFINERS.get(method))]


def _suggest_option(methods: Sequence[str], key: str) -> str:
    return suggest(key.removeprefix(OPTIONS), [name for method in methods for name in list_options(method)])
