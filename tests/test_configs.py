"""Every preset in configs/ loads, explains itself, builds what it names and takes the overrides of its first lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from wsl.cam.preset import PRESETS as CAM_PRESETS
from wsl.config import CHOICES, Config, as_dict, find_config, load_config
from wsl.errors import ConfigError
from wsl.export import EXPORTERS
from wsl.localize.threshold import check_threshold
from wsl.refine.refiner import build_refiner
from wsl.seeds.background import check_background
from wsl.seeds.labels import check_two_thresholds

CONFIGS = Path(__file__).parent.parent / "configs"
DOCS = CONFIGS.parent / "docs"
FILES = sorted(CONFIGS.glob("*.yaml"))
NAMES = [path.stem for path in FILES]
# `demo` belongs to one command and is not meant to be copied; all others are starting points for users.
COMPLETE = [path for path in FILES if path.stem != "demo"]
# Common words of the trade; docs/settings.md explains them too.
WELL_KNOWN = {
    *("train.epochs", "train.batch_size", "train.learning_rate", "train.weight_decay", "train.warmup_epochs"),
    *("train.label_smoothing", "refine.background_rule"),
}


def flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"data.root": ...} of nested mappings; free mappings of the user (groups, options) are one value."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name not in ("model.groups", "cam.options", "refine.options", "labels.options"):
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def read_preset(path: Path) -> dict[str, Any]:
    return flatten(yaml.safe_load(path.read_text("utf8")))


def iterate_keys(path: Path) -> Iterator[tuple[str, bool]]:
    """(dotted key, whether a comment stands on its line or on the line above) of a preset with two levels."""
    section, above = "", ""
    for line in path.read_text("utf8").splitlines():
        match = re.match(r"(  )?(\w+):(.*)$", line)
        if match:
            indent, key, rest = match.groups()
            section = section if indent else key
            name = f"{section}.{key}" if indent else key
            if rest.strip() or indent:
                yield name, "#" in rest or above.strip().startswith("#")
        above = line


@pytest.mark.parametrize("name", NAMES)
def test_preset_loads_by_name_and_by_path(name: str) -> None:
    assert isinstance(load_config(name, []), Config)
    assert load_config(str(CONFIGS / f"{name}.yaml"), []) == load_config(name, [])
    assert find_config(name) == CONFIGS / f"{name}.yaml"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_loaded_values_are_those_in_the_file(path: Path) -> None:
    loaded = flatten(as_dict(load_config(path.stem, ["data.root=DIR"])))
    for key, value in read_preset(path).items():
        if key == "data.root":
            value = "DIR"
        if key == "model.weights" and isinstance(value, list):
            value = [each.replace("${data.root}", "DIR") for each in value]
        assert loaded[key] == value, key


@pytest.mark.parametrize("name", NAMES)
def test_every_name_in_a_preset_exists(name: str) -> None:
    config = load_config(name, [])
    assert config.cam.preset in CAM_PRESETS
    check_threshold(config.boxes.rule, config.boxes.threshold)
    check_two_thresholds(config.seeds.rule, config.seeds.foreground, config.seeds.background)
    check_background(config.refine.background_rule, config.refine.background)
    build_refiner(config.refine.method, **config.refine.options)
    assert set(config.export.formats) <= set(EXPORTERS.names())


@pytest.mark.parametrize("path", COMPLETE, ids=[path.stem for path in COMPLETE])
def test_every_key_has_a_comment(path: Path) -> None:
    silent = [key for key, explained in iterate_keys(path) if not explained]
    assert set(silent) <= WELL_KNOWN


@pytest.mark.parametrize("path", COMPLETE, ids=[path.stem for path in COMPLETE])
def test_the_first_lines_say_what_it_is_and_how_to_run_it(path: Path) -> None:
    head = re.match(r"(#.*\n)+", path.read_text("utf8"))
    assert head is not None
    assert f"wsl run --config {path.stem} data.root=" in head[0]


def test_the_keys_of_a_preset_are_found_by_this_test() -> None:
    """`iterate_keys` reads text; it must see what the YAML parser sees."""
    for path in COMPLETE:
        assert {key for key, _ in iterate_keys(path)} == set(read_preset(path)), path


def test_every_setting_is_shown_in_some_complete_preset() -> None:
    shown = {key for path in COMPLETE for key in read_preset(path)}
    assert set(flatten(as_dict(Config()))) == shown


def test_well_known_words_are_explained_in_the_settings_page() -> None:
    text = (DOCS / "settings.md").read_text("utf8")
    assert [key for key in sorted(WELL_KNOWN) if f"| `{key}` |" not in text] == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("override", ["nonsense=1", "data.rooot=1", "train.epoch=1", "refine.option={}"])
def test_unknown_keys_are_refused(name: str, override: str) -> None:
    key = override.split("=")[0].split(".")[-1]
    with pytest.raises(ConfigError, match=key):
        load_config(name, [override])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", sorted(CHOICES))
def test_unknown_choices_are_refused(name: str, key: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{key}: expected one of {CHOICES[key][0]}")):
        load_config(name, [f"{key}=no_such_choice"])


@pytest.mark.parametrize("name", NAMES)
def test_common_overrides_replace_the_preset(name: str) -> None:
    overrides = ["data.root=DIR", "model.weights=FILE.pth", "model.checkpoint=BEST.safetensors", "output=OUT", "seed=7"]
    config = load_config(name, overrides)
    assert (config.data.root, config.output, config.seed) == ("DIR", "OUT", 7)
    assert (config.model.weights, config.model.checkpoint) == ("FILE.pth", "BEST.safetensors")
    untouched = flatten(as_dict(load_config(name, ["data.root=DIR"])))
    changed = {key for key, value in flatten(as_dict(config)).items() if value != untouched[key]}
    assert changed <= {"model.weights", "model.checkpoint", "output", "seed"}


@pytest.mark.parametrize("name", NAMES)
def test_weights_can_be_switched_off(name: str) -> None:
    assert load_config(name, ["model.weights=null"]).model.weights is None


@pytest.mark.parametrize("name", NAMES)
def test_outputs_of_presets_do_not_meet(name: str) -> None:
    others = {load_config(other, []).output for other in NAMES if other != name}
    assert load_config(name, []).output not in others
